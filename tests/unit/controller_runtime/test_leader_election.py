"""Leader election."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.fakes.api import FakeApi, fake_client

from knarr.api.registry import LEASES
from knarr.component_base.clock import FakeClock
from knarr.controller_runtime.leader_election import LeaderElection, Terms


class Race:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.leaders: list[str] = []

    def enter(self, identity: str) -> tuple[asyncio.Task[None], Callable[[str, str], None]]:
        client, transport = fake_client(self.api)
        cut = [False]

        def before(method: str, path: str) -> None:
            if cut[0]:
                raise ConnectionError("cut")

        def cutting(*_: str) -> None:
            cut[0] = True

        transport.before = before

        async def lead() -> None:
            self.leaders.append(identity)
            try:
                await asyncio.Event().wait()
            finally:
                self.leaders.remove(identity)

        election = LeaderElection(client, self.clock, Terms("kube-scheduler", identity), lead)
        return asyncio.get_running_loop().create_task(election.run()), cutting

    async def after(self, seconds: float) -> list[str]:
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)
            for _ in range(30):
                await asyncio.sleep(0)
        return list(self.leaders)

    @property
    def holder(self) -> str:
        return str(self.api.get(LEASES, "kube-system", "kube-scheduler")["spec"]["holderIdentity"])


def race(story: Callable[[Race], Awaitable[None]]) -> None:
    async def told() -> None:
        it = Race()
        await story(it)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await it.after(0.1)

    asyncio.run(told())


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_one_leads_and_the_next_follows_at_once_after_a_clean_stop() -> None:
    async def story(it: Race) -> None:
        first, _ = it.enter("a")
        assert await it.after(0.2) == ["a"]
        second, _ = it.enter("b")
        assert await it.after(20) == ["a"]
        await stop(first)
        assert it.holder == ""
        assert await it.after(2) == ["b"]
        assert it.api.get(LEASES, "kube-system", "kube-scheduler")["spec"]["leaseTransitions"] >= 1
        await stop(second)

    race(story)


def test_a_leader_cut_off_stops_before_another_begins() -> None:
    async def story(it: Race) -> None:
        _, cut = it.enter("a")
        await it.after(0.2)
        it.enter("b")
        await it.after(3)
        cut("", "")
        seen = [await it.after(0.1) for _ in range(120)]
        assert all(len(leaders) <= 1 for leaders in seen)
        assert seen[-1] == ["b"]

    race(story)


def test_a_restarted_server_takes_its_own_lease_back_at_once() -> None:
    async def story(it: Race) -> None:
        first, cut = it.enter("a")
        await it.after(0.2)
        cut("", "")
        await stop(first)
        assert it.holder == "a"
        it.enter("a")
        assert await it.after(0.2) == ["a"]

    race(story)
