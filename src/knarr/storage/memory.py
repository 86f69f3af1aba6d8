"""The store in memory: for tests and for clusters that live only as long as their server."""

from __future__ import annotations

import bisect
from collections.abc import AsyncIterator, Callable, Sequence

from knarr.storage.feed import Feed, Subscriber
from knarr.storage.store import (
    CompactedError,
    ConflictError,
    Event,
    KeyExistsError,
    KeyNotFoundError,
    KeyValue,
    Page,
)

#: Revisions of history that are kept without being asked to forget them.
KEPT_REVISIONS = 50_000


class MemoryStore:
    """Implements `Store`. Every change is kept as an event; a key's states are its events, newest last."""

    def __init__(self) -> None:
        self._revision = 0
        self._compacted = 0
        self._events: list[Event] = []
        self._states: dict[str, list[Event]] = {}
        self._keys: list[str] = []
        self._feed = Feed()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """See `Feed.subscribe`."""
        return self._feed.subscribe(subscriber)

    async def revision(self) -> int:
        """See `Store`."""
        return self._revision

    async def get(self, key: str, revision: int = 0) -> KeyValue | None:
        """See `Store`."""
        self._check(revision)
        return self._state(key, revision)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """See `Store`."""
        self._check(revision)
        start = bisect.bisect_right(self._keys, after) if after > prefix else bisect.bisect_left(self._keys, prefix)
        found: list[KeyValue] = []
        for key in self._keys[start:]:
            if not key.startswith(prefix):
                break
            if (state := self._state(key, revision)) is not None:
                found.append(state)
        items = found[:limit] if limit else found
        return Page(items, revision or self._revision, len(found) - len(items))

    async def create(self, key: str, value: bytes) -> int:
        """See `Store`."""
        if self._state(key, 0) is not None:
            raise KeyExistsError(key)
        revision = self._revision + 1
        return self._commit(Event(KeyValue(key, value, revision, revision), deleted=False, previous=None))

    async def update(self, key: str, value: bytes, expected: int) -> int:
        """See `Store`."""
        current = self._expect(key, expected)
        state = KeyValue(key, value, self._revision + 1, current.create_revision)
        return self._commit(Event(state, deleted=False, previous=current))

    async def delete(self, key: str, expected: int) -> int:
        """See `Store`."""
        current = self._expect(key, expected)
        state = current._replace(mod_revision=self._revision + 1)
        return self._commit(Event(state, deleted=True, previous=current))

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Event]]:
        """See `Store`."""
        if after < self._compacted:
            raise CompactedError(self._compacted)
        follower = self._feed.follow(prefix)
        try:
            start = bisect.bisect_right(self._events, after, key=_revision_of)
            if past := [event for event in self._events[start:] if event.kv.key.startswith(prefix)]:
                yield past
            while True:
                yield await follower.take()
        finally:
            self._feed.leave(follower)

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        revision = min(revision, self._revision)
        if revision <= self._compacted:
            return
        end = bisect.bisect_right(self._events, revision, key=_revision_of)
        for key in {event.kv.key for event in self._events[:end]}:
            self._forget(key, revision)
        del self._events[:end]
        self._compacted = revision

    async def close(self) -> None:
        """See `Store`."""

    def _check(self, revision: int) -> None:
        if revision and revision < self._compacted:
            raise CompactedError(self._compacted)

    def _state(self, key: str, revision: int) -> KeyValue | None:
        states = self._states.get(key, ())
        last = len(states) if not revision else bisect.bisect_right(states, revision, key=_revision_of)
        return None if not last or states[last - 1].deleted else states[last - 1].kv

    def _expect(self, key: str, expected: int) -> KeyValue:
        current = self._state(key, 0)
        if current is None:
            raise KeyNotFoundError(key)
        if current.mod_revision != expected:
            raise ConflictError(current)
        return current

    def _commit(self, event: Event) -> int:
        self._revision = event.kv.mod_revision
        self._events.append(event)
        states = self._states.get(event.kv.key)
        if states is None:
            states = self._states[event.kv.key] = []
            bisect.insort(self._keys, event.kv.key)
        states.append(event)
        self._feed.publish((event,))
        self._trim()
        return self._revision

    def _trim(self) -> None:
        """Forget the oldest revision, so that history takes no more room than `KEPT_REVISIONS` of it."""
        if len(self._events) > KEPT_REVISIONS:
            oldest = self._events[0].kv
            self._forget(oldest.key, oldest.mod_revision)
            self._compacted = oldest.mod_revision
            del self._events[0]

    def _forget(self, key: str, revision: int) -> None:
        """Drop the states of a key that `revision` no longer shows."""
        states = self._states.get(key)
        if states is None:
            return
        last = bisect.bisect_right(states, revision, key=_revision_of) - 1
        if last >= 0:
            del states[: last + 1 if states[last].deleted else last]
        if not states:
            del self._states[key]
            del self._keys[bisect.bisect_left(self._keys, key)]


def _revision_of(event: Event) -> int:
    return event.kv.mod_revision
