"""What a resource's registry does around writes: allocations that must be undone when the write fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from knarr.apimachinery.types import Object

#: Called once when the write is over, with whether it succeeded.
Finish = Callable[[bool], None]


class Hook(Protocol):
    """The hooks of one resource. `begin_*` may change `obj` and raise `StatusError`."""

    def begin_create(self, obj: Object, *, dry_run: bool) -> Finish:
        """Before strategy and validation of a new object."""
        ...

    def begin_update(self, obj: Object, old: Object, *, dry_run: bool) -> Finish:
        """Before strategy and validation of a changed object."""
        ...

    def after_delete(self, obj: Object) -> None:
        """The object is gone."""
        ...


def nothing(_done: bool) -> None:  # noqa: FBT001 - the shape of Finish
    """There is nothing to finish."""
