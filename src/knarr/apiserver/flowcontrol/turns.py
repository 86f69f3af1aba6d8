"""Work that takes long goes on flow by flow, and never so much of it at once that everybody else has to wait.

Seats say how many requests there are at a time; but one loop does the work of all of them, and what two hundred clients
of one user have sent it would do in one go. So a round of the loop does some `ROUND` seconds of such work. Who comes
later waits: a flow behind its own, and flows take turns. Between two rounds the loop looks at its sockets, where single
reads are answered at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from knarr.apiserver.flowcontrol.levels import WAIT, granted

#: Seconds of work that a round takes on.
ROUND = 0.01
#: Requests that a round takes on at most, however little they took lately.
_MOST = 50


class Turns:
    """Who may work now. `now` gives seconds of a clock that only goes forward."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: dict[str, deque[asyncio.Future[bool]]] = {}
        self._began: float | None = None
        self._granted = 0
        #: Seconds that one of those who had waited took lately.
        self._cost = ROUND

    def free(self, flow: str) -> bool:
        """Whether a request of a flow may work at once; begins a round where none has begun."""
        if self._began is None:
            self._begin()
            return flow not in self._waiting
        return flow not in self._waiting and self._now() - self._began < ROUND

    async def wait(self, flow: str) -> bool:
        """Wait for a turn, as who is not free must; False when none comes in time."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(flow, deque()).append(turn)
        return await granted(turn, WAIT)

    def _begin(self) -> None:
        self._began = self._now()
        asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        """A round is over: everything that it had taken on has been done, or waits for somebody else."""
        if self._granted and self._began is not None:
            self._cost += ((self._now() - self._began) / self._granted - self._cost) / 4
        self._began, self._granted = None, 0
        wanted = min(_MOST, max(1, int(ROUND / max(self._cost, 1e-6))))
        while self._waiting and self._granted < wanted:
            self._grant()
        if self._granted:
            # Behind those that have just been woken.
            self._begin()

    def _grant(self) -> None:
        """Wake the first of the flow whose turn it is; the flow goes to the end."""
        flow = next(iter(self._waiting))
        queue = self._waiting.pop(flow)
        turn = queue.popleft()
        if queue:
            self._waiting[flow] = queue
        if not turn.done():
            turn.set_result(True)
            self._granted += 1
