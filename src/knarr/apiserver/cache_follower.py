"""Keeps the watch cache what the store is: the whole state at start, then every committed change in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from knarr.apiserver.watch_cache import WatchCache
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.storage.store import CompactedError, Event, KeyValue, Store, StoreError

_PREFIX = "/registry/"
_PAGE = 1000
#: Seconds between two attempts to follow a store that does not answer.
_LONGEST_PAUSE = 1.0
#: Seconds between two questions whether it is there, and for the answer (kube-apiserver's check takes as long).
_PERIOD, _ANSWER = 5.0, 2.0
_log = logs.get("apiserver")


@runtime_checkable
class Subscribable(Protocol):
    """A store in this process: it calls back with each committed batch before the writers are answered."""

    def subscribe(self, subscriber: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """Call `subscriber` with every batch from now on; gives what ends that."""
        ...


class Following:
    """The link between a store and a cache."""

    def __init__(self, store: Store, cache: WatchCache) -> None:
        self._store = store
        self._cache = cache
        self._seen = 0
        #: What was committed while the state was being read; None once that is over.
        self._early: list[Event] | None = []
        #: Whether the watch has broken off, and whether the store kept silent when it was asked last.
        self._cut = False
        self._silent = False

    @property
    def broken(self) -> bool:
        """Whether the store does not answer at the moment."""
        return self._cut or self._silent

    async def load(self) -> None:
        """Read the whole state, at one revision."""
        items, revision = await self._state()
        self._cache.load(items, revision)
        self._seen = revision
        early, self._early = self._early or [], None
        self._cache.apply([event for event in early if event.kv.mod_revision > revision])

    def push(self, events: Sequence[Event]) -> None:
        """Take a committed batch from a store that calls."""
        if self._early is not None:
            self._early += events
        else:
            self._cache.apply(events)

    async def run(self) -> None:
        """Follow a store's watch until it breaks off; called again it goes on from there."""
        try:
            # The watch says nothing until there is a change.
            await self._store.revision()
            self._cut = False
            # Every key is followed, others' too: the cache is current when it has passed the store's revision.
            async for events in self._store.watch("", self._seen):
                self._cache.apply(events)
                self._seen = events[-1].kv.mod_revision
        except CompactedError as error:
            self._cut = True
            _log.warning("the store has forgotten what this server has not seen: reading everything", error=error)
            items, revision = await self._state()
            self._cache.reload(items, revision)
            self._seen = revision
        except Exception:
            self._cut = True
            raise

    async def ask_forever(self, clock: Clock) -> None:
        """Ask the store again and again whether it is there: a watch of one that hangs just says nothing."""
        while True:
            await clock.sleep(_PERIOD)
            await self.ask()

    async def ask(self) -> None:
        """Find out whether the store answers."""
        try:
            async with asyncio.timeout(_ANSWER):
                await self._store.revision()
            self._silent = False
        except (TimeoutError, StoreError):
            self._silent = True

    async def _state(self) -> tuple[list[KeyValue], int]:
        page = await self._store.list(_PREFIX, limit=_PAGE)
        items, revision = list(page.items), page.revision
        while page.remaining:
            page = await self._store.list(_PREFIX, after=items[-1].key, limit=_PAGE, revision=revision)
            items += page.items
        return items, revision


async def follow(store: Store, cache: WatchCache, tasks: Tasks, clock: Clock) -> Following:
    """Fill the cache and keep it current."""
    following = Following(store, cache)
    if isinstance(store, Subscribable):
        store.subscribe(following.push)
        await following.load()
    else:
        await following.load()
        tasks.forever(following.run, "watch-cache", longest=_LONGEST_PAUSE)
        tasks.forever(lambda: following.ask_forever(clock), "store-health")
    return following
