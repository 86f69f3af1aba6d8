"""A store whose values are encrypted by another's keys: what lies below sees what is stored, what lies above values.

The rules can be exchanged while it runs (`use`). Which keys were written in another way than they would be now is
known (`stale`), so that an update that changes nothing can rewrite them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from knarr.storage.encryption.transformer import Transformer
from knarr.storage.feed import Subscriber
from knarr.storage.store import ConflictError, Event, Expiring, KeyValue, Page, Store


class EncryptedStore:
    """Implements `Store` over a store."""

    def __init__(self, below: Store, transformer: Transformer) -> None:
        self._below = below
        self._transformer = transformer
        #: How every key that a rule is about was written.
        self._labels: dict[str, bytes] = {}

    def use(self, transformer: Transformer) -> None:
        """Write by other rules from now on. They must be able to read what there is."""
        self._transformer = transformer

    def stale(self, key: str) -> bool:
        """Whether a key was written in another way than it would be now."""
        return self._labels.get(key, b"") != self._transformer.label(key)

    async def revision(self) -> int:
        """See `Store`."""
        return await self._below.revision()

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        """See `Store`. Raises `TransformError`."""
        found = await self._below.get(key, revision)
        return await self._read(found) if found is not None else None

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`. Raises `TransformError`."""
        page = await self._below.list(prefix, after=after, limit=limit, revision=revision)
        return Page([await self._read(one) for one in page.items], page.revision, page.remaining)

    async def create(self, key: str, value: bytes) -> int:
        """See `Store`."""
        return await self._below.create(key, self._transformer.seal(key, value))

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """See `Store`."""
        try:
            return await self._below.update(key, self._transformer.seal(key, value), expected)
        except ConflictError as error:
            raise ConflictError(await self._read(error.current)) from error

    async def delete(self, key: str, expected: int) -> int:
        """See `Store`."""
        try:
            return await self._below.delete(key, expected)
        except ConflictError as error:
            raise ConflictError(await self._read(error.current)) from error

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Event]]:
        """See `Store`. Raises `TransformError`."""
        async for events in self._below.watch(prefix, after):
            for event in events:
                for kv in (event.kv, event.previous):
                    if kv is not None and self._transformer.providers(kv.key):
                        await self._transformer.learn(kv.key, kv.value)
            yield self._opened(events)

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        await self._below.compact(revision)

    async def close(self) -> None:
        """See `Store`."""
        await self._below.close()

    async def _read(self, kv: KeyValue) -> KeyValue:
        if not self._transformer.providers(kv.key):
            return kv
        await self._transformer.learn(kv.key, kv.value)
        return self._open(kv)

    def _open(self, kv: KeyValue) -> KeyValue:
        if not self._transformer.providers(kv.key):
            return kv
        label = self._transformer.label_of(kv.key, kv.value)
        if label or kv.key in self._labels:
            self._labels[kv.key] = label
        return kv._replace(value=self._transformer.open(kv.key, kv.value))

    def _opened(self, events: Sequence[Event]) -> Sequence[Event]:
        opened = []
        for event in events:
            previous = self._open(event.previous) if event.previous is not None else None
            opened.append(Event(self._open(event.kv), event.deleted, previous))
            if event.deleted:
                self._labels.pop(event.kv.key, None)
        return opened


class _Subscribable(EncryptedStore):
    """The same over a store in this process, which calls with what was committed."""

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """See `Feed.subscribe`. What this process wrote it can read without asking anybody."""
        below = self._below
        return below.subscribe(lambda events: subscriber(self._opened(events)))  # type: ignore[attr-defined,no-any-return]


class _Expiring(EncryptedStore):
    """The same over a store that lets keys expire."""

    async def create_for(self, key: str, value: bytes, seconds: int) -> int:
        """See `Expiring`."""
        if not isinstance(self._below, Expiring):
            raise TypeError("the store below lets nothing expire")
        return await self._below.create_for(key, self._transformer.seal(key, value), seconds)

    async def update_for(self, key: str, value: bytes, expected: int, seconds: int) -> int:
        """See `Expiring`."""
        if not isinstance(self._below, Expiring):
            raise TypeError("the store below lets nothing expire")
        try:
            return await self._below.update_for(key, self._transformer.seal(key, value), expected, seconds)
        except ConflictError as error:
            raise ConflictError(await self._read(error.current)) from error


def encrypted(below: Store, transformer: Transformer) -> EncryptedStore:
    """The encrypting store over one; it offers what that offers."""
    if hasattr(below, "subscribe"):
        return _Subscribable(below, transformer)
    return _Expiring(below, transformer) if isinstance(below, Expiring) else EncryptedStore(below, transformer)
