"""What a player does, and when, in a time of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from knarr.apimachinery.errors import StatusError
from knarr.component_base.clock import FakeClock
from knarr.component_base.tasks import Tasks
from knarr.simulation import paths
from knarr.simulation.player import Player
from knarr.simulation.stages import Next, PodState, Requirement, Stage

PENDING = Requirement(paths.parse(".status.phase"), "In", ("Pending",))
RUNNING = Requirement(paths.parse(".status.phase"), "In", ("Running",))
RUN = Stage("run", "Pod", Next(pod=PodState()), requirements=(PENDING,), delay=5.0)
END = Stage("end", "Pod", Next(delete=True), requirements=(RUNNING,), delay=1.0)


def pod(phase: str, uid: str = "u") -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "n", "uid": uid}, "status": {"phase": phase}}


class Scene:
    """A player, its time, and what it has done."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.done: list[str] = []
        self.answers: list[float | Exception] = []
        self.player = Player([RUN, END], self.act, self.clock, "")

    async def act(self, stage: Stage, obj: dict[str, Any]) -> float:
        self.done.append(stage.name)
        answer = self.answers.pop(0) if self.answers else 0.0
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for _ in range(20):
            await asyncio.sleep(0)


def play(tell: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        scene, tasks = Scene(), Tasks()
        tasks.start(scene.player.keep_time(), "time")
        tasks.start(scene.player.work(), "work")
        try:
            await tell(scene)
        finally:
            await tasks.close()

    asyncio.run(main())


def test_a_stage_comes_when_its_delay_has_passed() -> None:
    async def tell(scene: Scene) -> None:
        scene.player.see(pod("Pending"))
        await scene.advance(0)
        await scene.advance(4.9)
        assert scene.done == []
        scene.player.see(pod("Pending"))
        await scene.advance(0.2)
        assert scene.done == ["run"]

    play(tell)


def test_a_change_of_state_changes_the_plan() -> None:
    async def tell(scene: Scene) -> None:
        scene.player.see(pod("Pending"))
        await scene.advance(0)
        scene.player.see(pod("Running"))
        await scene.advance(0)
        await scene.advance(1.5)
        assert scene.done == ["end"]
        await scene.advance(10)
        assert scene.done == ["end"]

    play(tell)


def test_nothing_is_done_to_what_is_gone() -> None:
    async def tell(scene: Scene) -> None:
        scene.player.see(pod("Pending", "a"))
        scene.player.see(pod("Pending", "b"))
        scene.player.see(pod("Pending", "c"))
        scene.player.forget("a")
        scene.player.keep({"c"})
        await scene.advance(0)
        await scene.advance(9)
        assert scene.done == ["run"]

    play(tell)


def test_what_fails_by_no_fault_of_its_own_is_tried_again_and_what_is_refused_is_counted() -> None:
    async def tell(scene: Scene) -> None:
        scene.answers = [ConnectionError("gone"), StatusError(429, "TooManyRequests", "later"), 3.0, 0.0]
        scene.player.see(pod("Running"))
        for seconds in (0, 1.0, 1.0, 1.0, 2.9):
            await scene.advance(seconds)
        assert scene.done == ["end"] * 3
        await scene.advance(0.2)
        assert scene.done == ["end"] * 4
        scene.answers = [StatusError(422, "Invalid", "no"), StatusError(404, "NotFound", "gone")]
        scene.player.see(pod("Running", "x"))
        scene.player.see(pod("Running", "y"))
        for seconds in (0, 1.0, 9.0):
            await scene.advance(seconds)
        assert len(scene.done) == 6
        assert scene.player.refused == 1

    play(tell)
