"""The store: the small protocol with etcd's semantics that every driver serves.

Keys are text (`/registry/pods/default/a`), values are bytes (an object's JSON without resourceVersion). Every
change gets the next revision, one for the whole store. A change is acknowledged only when it is
durable. Source of the semantics: https://etcd.io/docs/v3.5/learning/api/
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class KeyValue(NamedTuple):
    """One key at one revision."""

    key: str
    value: bytes
    mod_revision: int
    create_revision: int


class Event(NamedTuple):
    """One change: the new state, or for a deletion (`deleted`) the last state with the deletion's revision."""

    kv: KeyValue
    deleted: bool
    #: The state before, None for a creation. A driver may give None where its engine compacted it away, and to
    #: subscribers, who have seen it.
    previous: KeyValue | None


class Page(NamedTuple):
    """A part of a range: the items in key order, the revision they were read at, how many more follow."""

    items: Sequence[KeyValue]
    revision: int
    remaining: int


class StoreError(Exception):
    """What a driver raises; the API server maps these to Status errors in one place."""


class KeyNotFoundError(StoreError):
    """The key does not exist."""


class KeyExistsError(StoreError):
    """The key exists already."""


class ConflictError(StoreError):
    """The key is not at the expected revision. `current` is its state now."""

    def __init__(self, current: KeyValue) -> None:
        super().__init__(f"{current.key} is at revision {current.mod_revision}")
        self.current = current


class CompactedError(StoreError):
    """The revision asked for lies before the oldest kept one, `oldest`."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"compacted up to revision {oldest}")
        self.oldest = oldest


class LaggedError(StoreError):
    """A watch whose reader fell too far behind: it ends, and its reader begins anew."""


class StoreUnavailableError(StoreError):
    """The engine does not answer. A write that fails so may have happened all the same."""


class Store(Protocol):
    """A key-value store with revisions."""

    async def revision(self) -> int:
        """The revision of the last acknowledged change, read freshly; 0 for an empty store."""
        ...

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        """The key's state now, or at an earlier revision. Raises `CompactedError`."""
        ...

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """The keys below `prefix` greater than `after`, at most `limit` (0: all). Raises `CompactedError`."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Write a new key; gives its revision. Raises `KeyExistsError`."""
        ...

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """Replace a key whose mod_revision is `expected`. Raises `ConflictError` or `KeyNotFoundError`."""
        ...

    async def delete(self, key: str, expected: int) -> int:
        """Remove a key whose mod_revision is `expected`; gives the deletion's revision. Raises as `update`."""
        ...

    def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Event]]:
        """All changes below `prefix` with a revision greater than `after`, in order, in batches, without end.

        Raises `CompactedError` when `after` lies before what is kept, `LaggedError` when the reader is so slow that
        too much would wait for it.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forget states that were replaced or deleted at or before `revision`, in small steps."""
        ...

    async def close(self) -> None:
        """Flush and close."""
        ...


@runtime_checkable
class Expiring(Protocol):
    """A store whose engine can remove a key by itself once nobody has written it for a while."""

    async def create_for(self, key: str, value: bytes, seconds: int) -> int:
        """As `Store.create`, for a key that lives at least `seconds`."""
        ...

    async def update_for(self, key: str, value: bytes, expected: int, seconds: int) -> int:
        """As `Store.update`; the key lives at least `seconds` from now on."""
        ...


@runtime_checkable
class Rewriting(Protocol):
    """A store that keeps values in several forms, and knows which are not in the one it writes now."""

    def stale(self, key: str) -> bool:
        """Whether writing the same value again would change what is stored."""
        ...
