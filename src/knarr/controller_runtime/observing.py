"""What counts for metrics what a controller sees and does, beside the function that decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import Family
from knarr.controller_runtime.changes import Result
from knarr.controller_runtime.snapshot import Key, Snapshot


@dataclass(frozen=True, slots=True)
class Ended:
    """A round that is over: what was ordered, whether all of it went well, and the seconds that took."""

    key: Key
    result: Result
    failed: bool
    seconds: float
    now: datetime
    snapshot: Snapshot


class Observer(Protocol):
    """Counts for one controller while it runs."""

    def changed(self, resource: Resource, old: Object | None, new: Object | None, snapshot: Snapshot) -> None:
        """A watched object has changed; `old` is None for one that is new or was there before."""
        ...

    def ended(self, ended: Ended) -> None:
        """A round is over."""
        ...

    def families(self) -> Sequence[Family]:
        """The metrics."""
        ...
