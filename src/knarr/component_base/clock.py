"""The clock, passed in wherever time matters, so that tests own it."""

from __future__ import annotations

import asyncio
import datetime
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps, monotonic seconds for durations, and sleeping."""

    def now(self) -> datetime.datetime:
        """The wall time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime.datetime:
        """The wall time, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """Seconds since boot or thereabouts."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait in the event loop."""
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock that a test moves with `advance`."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        self._now = start or datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self._monotonic = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime.datetime:
        """The pretended wall time."""
        return self._now

    def monotonic(self) -> float:
        """The pretended monotonic time."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has passed the moment."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._monotonic + seconds, self._count, future))
        await future

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as somebody or NTP does; no time passes."""
        self._now += datetime.timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        """Move both times forward and wake the sleepers that are due."""
        self._monotonic += seconds
        self._now += datetime.timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
