"""Plays the stages of one kind: watches objects, waits out delays, has what comes next done by workers.

A plan is kept only for an object to which something will happen; one at rest costs nothing here.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.simulation.stages import Stage, choose

#: Seconds until something that failed by no fault of its own is tried again.
_AGAIN = 1.0
_log = logs.get("simulation")


@dataclass(slots=True, eq=False)
class Plan:
    """What will happen to an object."""

    obj: Object
    stage: Stage
    dropped: bool = False
    acting: bool = False


class Player:
    """Plans by `stages` for the objects it is told of. `act(stage, obj)` gives seconds to wait where it is too soon."""

    def __init__(
        self, stages: Sequence[Stage], act: Callable[[Stage, Object], Awaitable[float]], clock: Clock, seed: str
    ) -> None:
        self._stages, self._act, self._clock, self._seed = stages, act, clock, seed
        self._plans: dict[str, Plan] = {}
        self._waiting: list[tuple[float, int, Plan]] = []
        self._due: asyncio.Queue[Plan] = asyncio.Queue()
        self._number = 0
        self._sooner = asyncio.Event()
        #: What the API server refused for good.
        self.refused = 0

    def see(self, obj: Object) -> None:
        """An object is new, or has changed."""
        uid = obj["metadata"]["uid"]
        plan, chosen = self._plans.get(uid), choose(self._stages, obj, self._seed)
        if plan and chosen and plan.stage is chosen[0] and not plan.acting:
            plan.obj = obj
            return
        self.forget(uid)
        if chosen:
            stage, delay = chosen
            plan = self._plans[uid] = Plan(obj, stage)
            self._wait(plan, delay)

    def forget(self, uid: str) -> None:
        """An object is gone, or at rest."""
        plan = self._plans.pop(uid, None)
        if plan:
            plan.dropped = True

    def keep(self, uids: set[str]) -> None:
        """Only these objects are left."""
        for uid in [uid for uid in self._plans if uid not in uids]:
            self.forget(uid)

    async def keep_time(self) -> None:
        """Hand over what comes due, forever."""
        while True:
            self._sooner.clear()
            now = self._clock.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                self._due.put_nowait(heapq.heappop(self._waiting)[2])
            if not self._waiting:
                await self._sooner.wait()
                continue
            sleep = asyncio.ensure_future(self._clock.sleep(self._waiting[0][0] - now))
            sooner = asyncio.ensure_future(self._sooner.wait())
            try:
                await asyncio.wait((sleep, sooner), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleep.cancel()
                sooner.cancel()

    async def work(self) -> None:
        """Do what is due, forever; several of these work side by side."""
        while True:
            plan = await self._due.get()
            if not plan.dropped:
                await self._do(plan)

    async def _do(self, plan: Plan) -> None:
        plan.acting = True
        try:
            wait = await self._act(plan.stage, plan.obj)
        except ConnectionError as error:
            _log.warning("not done yet", stage=plan.stage.name, error=error)
            wait = _AGAIN
        except StatusError as error:
            wait = self._refused(plan, error)
        plan.acting = False
        uid = plan.obj["metadata"]["uid"]
        if self._plans.get(uid) is plan:
            if wait:
                self._wait(plan, wait)
            else:
                del self._plans[uid]

    def _refused(self, plan: Plan, error: StatusError) -> float:
        """Seconds until it is worth another try; 0 where it is not."""
        if error.code == 429 or error.code >= 500:
            return _AGAIN
        # It is gone, or another one by now: the watch tells.
        if error.code not in (404, 409):
            self.refused += 1
            _log.warning("refused", stage=plan.stage.name, error=error)
        return 0.0

    def _wait(self, plan: Plan, delay: float) -> None:
        if delay <= 0:
            self._due.put_nowait(plan)
            return
        self._number += 1
        heapq.heappush(self._waiting, (self._clock.monotonic() + delay, self._number, plan))
        if self._waiting[0][2] is plan:
            self._sooner.set()
