"""A world in which requests and answers are lost, watches are late or break, and the manager crashes after any change.

Everything is drawn from a seed. `SIM_SEEDS` in the environment sets how many seeds a simulation tries.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.fakes.world import World

from knarr.controller_runtime.controller import Controller

SEEDS = int(os.environ.get("SIM_SEEDS", "150"))
#: The first seed.
FIRST = 0
#: Into how many tests the seeds of a simulation are divided.
PARTS = 5


@dataclass
class Faults:
    """How often what goes wrong, of 1."""

    lose_request: float = 0.03
    lose_answer: float = 0.05
    crash: float = 0.02
    relist: float = 0.03


class FaultyWorld:
    """A `World` with faults, unless it is `calm`. `wrong` keeps what a listener saw that must not be."""

    def __init__(self, controllers: Sequence[Controller], seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World(controllers, seed=seed, hold=True)
        self.api, self.clock = self.world.api, self.world.clock
        self.faults = Faults()
        self.calm = False
        self.wrong: list[str] = []
        self._crash_now = False

    def choose(self, share: float) -> bool:
        """Whether something that happens in this share of all cases happens now; never in a calm world."""
        return not self.calm and self.random.random() < share

    async def start(self) -> None:
        """Let the manager run."""
        transport = self.world.transport

        def before(method: str, path: str) -> None:
            if self.choose(self.faults.lose_request):
                raise ConnectionError("request lost")

        def after(method: str, path: str) -> None:
            if method != "GET" and self.choose(self.faults.crash):
                self._crash_now = True
            if self.choose(self.faults.lose_answer):
                raise ConnectionError("answer lost")

        transport.before, transport.after = before, after
        await self.world.manager.start()

    async def close(self) -> None:
        """End it."""
        await self.world.close()

    async def step(self, happens: Callable[[], None]) -> None:
        """A watch delivers, or something `happens`, or time passes, or a watch breaks; then the manager goes on."""
        draw = self.random.random()
        informers = self.world.informers
        if draw < 0.35:
            informers.deliver(self.random.choice(list(informers.informers)), self.random.randint(1, 3))
        elif draw < 0.65:
            happens()
        elif draw < 0.7:
            self.clock.advance(self.random.choice([0.01, 1.0, 5.0]))
        elif self.choose(self.faults.relist):
            informers.relist(self.random.choice(list(informers.informers)))
        await self._run(self.random.randint(1, 12))
        assert not self.wrong, self.wrong[0]

    async def rest(self, happens: Callable[[], None], is_done: Callable[[], bool]) -> None:
        """No more faults: everything must come to what was asked for."""
        self.calm = True
        for _ in range(400):
            self.world.informers.deliver_all()
            happens()
            self.clock.advance(1.0)
            await self._run(30)
            if is_done():
                break
        assert is_done(), "it does not come to what was asked for"
        assert not self.wrong, self.wrong[0]
        self.calm = False

    async def _run(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
            if self._crash_now:
                self._crash_now = False
                await self.world.close()
                self.world.start()
                await self.start()


def try_seeds(part: int, tell: Callable[[int], Awaitable[None]]) -> None:
    """Tell the story of every seed of a part; a failure names its seed."""
    for seed in range(FIRST + part, SEEDS, PARTS):
        try:
            asyncio.run(_told(tell(seed)))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


async def _told(story: Awaitable[None]) -> None:
    await story
