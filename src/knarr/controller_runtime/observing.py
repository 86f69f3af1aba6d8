"""What counts for metrics what a controller sees and does, beside the function that decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, TypeAlias

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About, Counter, Family, Looked, Sample
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


#: The samples of a gauge, by the watches.
Look: TypeAlias = Callable[[Snapshot], Iterable[Sample]]


class Tally:
    """Counts the ticks of rounds that went well, and shows gauges of the present state."""

    def __init__(self, counters: Iterable[About], gauges: Iterable[tuple[About, Look]]) -> None:
        self._counters = {about.name: Counter(about) for about in counters}
        self._snapshot: Snapshot | None = None
        self._gauges = [Looked(about, partial(self._look, look)) for about, look in gauges]

    def changed(self, resource: Resource, old: Object | None, new: Object | None, snapshot: Snapshot) -> None:
        """As `Observer`."""
        self._snapshot = snapshot

    def ended(self, ended: Ended) -> None:
        """As `Observer`."""
        for tick in () if ended.failed else ended.result.ticks:
            self._counters[tick.about.name].add(tick.labels)

    def families(self) -> Sequence[Family]:
        """As `Observer`."""
        return [*self._counters.values(), *self._gauges]

    def _look(self, look: Look) -> Iterable[Sample]:
        return () if self._snapshot is None else look(self._snapshot)


def tally(*counters: About, gauges: Iterable[tuple[About, Look]] = ()) -> Callable[[], Observer]:
    """Makes the observer of a controller whose results carry `ticks` of these counters."""
    return lambda: Tally(counters, gauges)
