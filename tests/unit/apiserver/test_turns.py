"""Turns: how much a round of the loop takes on, and who is next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from knarr.apiserver.flowcontrol import turns
from knarr.apiserver.flowcontrol.turns import ROUND, Turns


class Scene:
    """Requests that take some time of a clock that nothing else moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = Turns(lambda: self.now)
        self.done: list[str] = []
        #: How many were done at each look at the sockets.
        self.looks: list[int] = []

    async def request(self, flow: str, seconds: float) -> None:
        if self.turns.free(flow) or await self.turns.wait(flow):
            self.now += seconds
            self.done.append(flow)

    async def look(self) -> None:
        """As the loop does between two rounds, until all are done."""
        while self.turns._waiting:
            self.looks.append(len(self.done))
            await asyncio.sleep(0)


def run(tell: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(tell(Scene()))


def test_a_round_takes_on_so_much_and_flows_take_turns() -> None:
    async def tell(scene: Scene) -> None:
        flood = [asyncio.ensure_future(scene.request("noisy", 0.1)) for _ in range(20)]
        await asyncio.sleep(0)
        # The first was more than a round is long.
        assert scene.done == ["noisy"]
        quiet = asyncio.ensure_future(scene.request("quiet", 0.001))
        await quiet
        assert scene.done.count("noisy") <= 3
        await asyncio.gather(*flood)
        assert scene.done.count("noisy") == 20

    run(tell)


def test_small_work_is_done_many_at_a_time() -> None:
    async def tell(scene: Scene) -> None:
        flood = [asyncio.ensure_future(scene.request("noisy", ROUND / 20)) for _ in range(400)]
        await asyncio.sleep(0)
        assert len(scene.done) == 20
        await scene.look()
        await asyncio.gather(*flood)
        assert len(scene.done) == 400
        # Rounds become as full as they may.
        steps = [after - before for before, after in zip(scene.looks, scene.looks[1:], strict=False)]
        assert max(steps) > 10

    run(tell)


def test_a_flow_waits_behind_its_own() -> None:
    async def tell(scene: Scene) -> None:
        first = [asyncio.ensure_future(scene.request("noisy", 1)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not scene.turns.free("noisy")
        await asyncio.gather(*first)
        await asyncio.sleep(0)
        assert scene.turns.free("noisy") and scene.turns._waiting == {}

    run(tell)


def test_who_gives_up_is_passed_over_and_who_waits_too_long_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 0.0)

    async def tell(scene: Scene) -> None:
        given = [asyncio.ensure_future(scene.request("noisy", 1)) for _ in range(4)]
        await asyncio.sleep(0)
        given[2].cancel()
        await asyncio.gather(*given, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0)
        assert 1 <= len(scene.done) <= 3
        assert scene.turns._waiting == {} and scene.turns.free("noisy")

    run(tell)


def test_who_is_cancelled_as_his_turn_comes_is_cancelled() -> None:
    async def tell(scene: Scene) -> None:
        first = asyncio.ensure_future(scene.request("noisy", 1))
        late = asyncio.ensure_future(scene.request("noisy", 1))
        await first
        await scene.look()
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        assert scene.done == ["noisy"]

    run(tell)
