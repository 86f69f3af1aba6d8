"""A manager over a `FakeApi`, with a clock of its own, stepped until nothing moves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from tests.fakes.api import FakeApi, FakeInformers, fake_client

from knarr.component_base.clock import FakeClock
from knarr.controller_runtime.changes import EventNote
from knarr.controller_runtime.controller import Controller
from knarr.controller_runtime.manager import Manager, Surroundings
from knarr.controller_runtime.names import ALPHABET


class SeededNames:
    """Suffixes from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def suffix(self) -> str:
        return "".join(self._random.choices(ALPHABET, k=5))


class Notes:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.taken: list[EventNote] = []

    def record(self, note: EventNote, component: str) -> None:
        self.taken.append(note)

    def messages(self) -> list[str]:
        return [f"{note.type} {note.reason}: {note.message}" for note in self.taken]


class World:
    """An API, a manager with controllers, and time."""

    def __init__(self, controllers: Sequence[Controller], *, seed: int = 0, hold: bool = False) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.controllers = controllers
        self.notes = Notes()
        self.names = SeededNames(seed)
        self.hold = hold
        self.start()

    def start(self) -> None:
        """A manager that begins anew, as after a crash."""
        self.informers = FakeInformers(self.api, hold=self.hold)
        client, self.transport = fake_client(self.api)
        around = Surroundings(self.informers, lambda name: client, self.clock, self.notes, self.names)
        self.manager = Manager(around, self.controllers)

    async def settle(self, rounds: int = 400) -> None:
        """Let everything run that can run without time passing."""
        seen, still = -1, 0
        for _ in range(rounds):
            for _ in range(20):
                await asyncio.sleep(0)
            still = still + 1 if seen == len(self.api.requests) else 0
            seen = len(self.api.requests)
            if self.manager.is_idle() or still > 5:
                return
        raise AssertionError("the controllers do not come to rest")

    async def advance(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass in steps, and settle after each."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            await self.settle()

    async def close(self) -> None:
        await self.manager.close()
        self.informers.close()


def run(story: Callable[[World], Any], controllers: Sequence[Controller], **options: Any) -> World:
    """Tell a story to a world whose manager runs; the world as it is afterwards."""

    async def told() -> World:
        world = World(controllers, **options)
        await world.manager.start()
        await world.settle()
        await story(world)
        await world.settle()
        await world.close()
        return world

    return asyncio.run(told())
