"""Hands committed events to whoever follows an embedded store. All methods are called on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from knarr.storage.store import Event, LaggedError

#: Events that may wait for one follower.
LIMIT = 10_000

Subscriber: TypeAlias = Callable[[Sequence[Event]], None]


class Follower:
    """The events below one prefix that nobody has taken yet, up to a limit."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._waiting: list[Event] = []
        self._lagged = False
        self._waiter: asyncio.Future[None] | None = None

    def push(self, events: Sequence[Event]) -> None:
        """Keep the events that lie below the prefix."""
        if self._lagged:
            return
        self._waiting += [event for event in events if event.kv.key.startswith(self.prefix)]
        if len(self._waiting) > LIMIT:
            self._lagged = True
            self._waiting.clear()
        if (self._waiting or self._lagged) and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> list[Event]:
        """All that waits, at least one. Raises `LaggedError` when more than `LIMIT` have waited."""
        while not self._waiting:
            if self._lagged:
                raise LaggedError(f"more than {LIMIT} events waited for a reader of {self.prefix}")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken, self._waiting = self._waiting, []
        return taken


class Feed:
    """Fans events out, in the order they are published."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self._followers: set[Follower] = set()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with every batch of events, before their writers are answered; gives what ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    @property
    def followed(self) -> bool:
        """Whether anybody collects events."""
        return bool(self._followers)

    def follow(self, prefix: str) -> Follower:
        """Begin to collect events; `leave` ends it."""
        follower = Follower(prefix)
        self._followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """Stop collecting."""
        self._followers.discard(follower)

    def publish(self, events: Sequence[Event]) -> None:
        """Hand out a batch of committed events."""
        for subscriber in self._subscribers:
            subscriber(events)
        for follower in self._followers:
            follower.push(events)
