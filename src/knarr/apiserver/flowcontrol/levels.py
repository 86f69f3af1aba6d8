"""One priority level: so many requests at once, the others wait in fair queues or are turned away.

A flow (what one user does, say) is dealt a hand of queues and waits in the shortest: a flow that floods its queues
leaves others' alone. Queues take turns. A level whose seats are all taken borrows those that others lend and do not use
themselves. Source: k8s.io/apiserver/pkg/util/flowcontrol.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from knarr.apimachinery.types import Object

#: Requests that are worked on at once, over all levels (`--max-requests-inflight` and the mutating ones').
CONCURRENCY = 600
#: Seconds that a request may wait: a quarter of its time.
WAIT = 15.0


@dataclass(slots=True, eq=False)
class Pool:
    """The levels that lend to one another, and how many requests wait in all of them."""

    levels: Sequence[Level] = ()
    waiting: int = 0


@dataclass(slots=True, eq=False)
class Level:
    """A level's seats and queues."""

    name: str
    uid: str
    #: Requests at once; None: any number, nobody waits.
    limit: int | None
    #: None: who finds no seat is turned away.
    queues: list[deque[asyncio.Future[bool]]] | None = None
    hand: int = 1
    longest: int = 0
    #: Of its own seats, those that others may have; and how many of others' it may have (None: any number).
    lends: int = 0
    borrows: int | None = 0
    used: int = 0
    pool: Pool = field(default_factory=lambda: Pool())
    _next: int = field(default=0)

    @property
    def free(self) -> bool:
        """Whether a request need not wait."""
        return self.limit is None or self.used < self.limit or self._may_borrow(self.limit)

    def _may_borrow(self, limit: int) -> bool:
        """Whether somebody has a seat to lend. A lender never waits for his: for a moment there are more then."""
        # A level without a seat of its own is a jail.
        if not limit or (self.borrows is not None and self.used - limit >= self.borrows):
            return False
        return sum(level.spare for level in self.pool.levels) > 0

    @property
    def spare(self) -> int:
        """Seats that it lends and does not need; negative for those that it has borrowed."""
        if self.limit is None:
            return 0
        return min(self.lends, self.limit - self.used)

    @property
    def queued(self) -> bool:
        """Whether requests may wait for a seat."""
        return self.queues is not None

    async def enter(self, flow: str) -> bool:
        """Take a seat, waiting for it; False when there is none in time. `leave` gives it back."""
        if self.free:
            self.used += 1
            return True
        queue = self._queue(flow)
        if queue is None or len(queue) >= self.longest:
            return False
        seat: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        queue.append(seat)
        self.pool.waiting += 1
        try:
            return await granted(seat, WAIT)
        except asyncio.CancelledError:
            # The seat may have come as the wait was given up.
            if seat.done() and not seat.cancelled() and seat.result():
                self.leave()
            raise
        finally:
            self.pool.waiting -= 1

    def leave(self) -> None:
        """Give a seat back: the next in turn has it, or who waits elsewhere and may borrow it."""
        self.used -= 1
        self.serve()
        if self.pool.waiting and self.lends:
            for level in self.pool.levels:
                level.serve()

    def serve(self) -> None:
        """Give seats to those who wait, while there are any."""
        while self.free and (seat := self._pop()) is not None:
            if not seat.done():
                self.used += 1
                seat.set_result(True)

    def _queue(self, flow: str) -> deque[asyncio.Future[bool]] | None:
        if not self.queues:
            return None
        hand = random.Random(flow).sample(range(len(self.queues)), min(self.hand, len(self.queues)))
        return min((self.queues[index] for index in hand), key=len)

    def _pop(self) -> asyncio.Future[bool] | None:
        for step in range(len(self.queues or ())):
            index = (self._next + step) % len(self.queues or ())
            if self.queues and self.queues[index]:
                self._next = index + 1
                return self.queues[index].popleft()
        return None


async def granted(wish: asyncio.Future[bool], seconds: float) -> bool:
    """Whether a wish is granted in time. Who is cancelled is, even as it is granted (`asyncio.wait_for` forgets it)."""
    timer = asyncio.get_running_loop().call_later(seconds, _give_up, wish)
    try:
        return await wish
    finally:
        timer.cancel()


def _give_up(wish: asyncio.Future[bool]) -> None:
    if not wish.done():
        wish.set_result(False)


def levels(configurations: list[Object]) -> dict[str, Level]:
    """The levels of all configurations, by name: each has its share of the concurrency."""
    shares = {obj["metadata"]["name"]: _shares(obj["spec"]) for obj in configurations}
    total = max(sum(shares.values()), 1)
    out = {}
    for obj in configurations:
        name = obj["metadata"]["name"]
        out[name] = _level(obj, math.ceil(CONCURRENCY * shares[name] / total))
    return out


def join(found: Sequence[Level]) -> None:
    """Let levels borrow from one another. Who waits already is known to the pool he was in."""
    pool = next((level.pool for level in found if level.pool.waiting), None) or Pool()
    pool.levels = found
    for level in found:
        level.pool = pool


def _shares(spec: Object) -> int:
    if spec.get("type") == "Exempt":
        return int((spec.get("exempt") or {}).get("nominalConcurrencyShares") or 0)
    shares = (spec.get("limited") or {}).get("nominalConcurrencyShares")
    return 30 if shares is None else int(shares)


def _level(obj: Object, seats: int) -> Level:
    meta, spec = obj["metadata"], obj["spec"]
    if spec.get("type") == "Exempt":
        return Level(meta["name"], meta["uid"], None)
    limited = spec.get("limited") or {}
    lends, borrows = _percent(seats, limited.get("lendablePercent") or 0), limited.get("borrowingLimitPercent")
    level = Level(meta["name"], meta["uid"], seats, lends=lends)
    level.borrows = None if borrows is None else _percent(seats, borrows)
    response = limited.get("limitResponse") or {}
    if response.get("type") != "Queue":
        return level
    queuing = response.get("queuing") or {}
    level.queues = [deque() for _ in range(int(queuing.get("queues") or 64))]
    level.hand, level.longest = int(queuing.get("handSize") or 8), int(queuing.get("queueLengthLimit") or 50)
    return level


def _percent(seats: int, percent: int) -> int:
    return round(seats * percent / 100)
