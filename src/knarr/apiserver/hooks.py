"""What a resource's registry does around writes: allocations that must be undone when the write fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from knarr.apimachinery.types import Object
from knarr.apiserver.allocators import NumberRange

#: Called once when the write is over, with whether it succeeded.
Finish = Callable[[bool], None]


class Claims(Protocol):
    """Guards against other servers of the same store what a hook allocates."""

    async def begin(self, start: Callable[[], Finish], obj: Object) -> Finish:
        """Begin by `start`, again with `obj` as it was while others have what it chose. Raises `StatusError`."""
        ...

    def give_back(self, numbers: Iterable[tuple[NumberRange, int]]) -> None:
        """An object that had numbers is gone."""
        ...


class Hook(Protocol):
    """The hooks of one resource. `begin_*` may change `obj` and raise `StatusError`."""

    claims: Claims | None

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


async def begin(hook: Hook | None, obj: Object, old: Object | None, *, dry_run: bool) -> Finish:
    """Begin the write of an object, a new one when there is no `old`. Raises `StatusError`."""
    if hook is None:
        return nothing

    def start() -> Finish:
        if old is None:
            return hook.begin_create(obj, dry_run=dry_run)
        return hook.begin_update(obj, old, dry_run=dry_run)

    return start() if hook.claims is None or dry_run else await hook.claims.begin(start, obj)
