"""The scheduler over watches: it begins with the whole cluster, and asks only for what it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson

from knarr.api.registry import NODES, PODS
from knarr.api.resources import Resource
from knarr.client.client import Client
from knarr.client.transport import Answer
from knarr.component_base.clock import FakeClock
from knarr.component_base.tasks import Tasks
from knarr.scheduler.run import PODS_AT_LARGE, Options, SchedulerRunner


class Watch:
    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.objects: list[Any] = []
        self.callbacks: list[Callable[[Any, Any], None]] = []

    def listen(self, callback: Callable[[Any, Any], None], /) -> None:
        self.callbacks.append(callback)
        for obj in self.objects:
            callback(None, obj)


class World:
    def __init__(self) -> None:
        self.watches: dict[Resource, Watch] = {}
        self.selected: dict[Resource, str] = {}

    def add(
        self, one: Resource, /, *, namespace: str = "", field_selector: str = "", label_selector: str = ""
    ) -> Watch:
        self.selected[one] = field_selector
        return self.watches.setdefault(one, Watch())


class Api:
    """Takes bindings."""

    def __init__(self) -> None:
        self.bound: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        if path.endswith("/binding"):
            self.bound.put_nowait((path.split("/")[-2], orjson.loads(body)["target"]["name"]))
        return Answer(201, {}, b"{}")

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        raise NotImplementedError
        yield b""

    async def close(self) -> None:
        pass


def test_scheduling_begins_when_everything_is_known(make_pod: Any, make_node: Any) -> None:
    async def main() -> None:
        world, api, tasks = World(), Api(), Tasks()
        runner = SchedulerRunner(Client(api), world, FakeClock(), Options("default-scheduler-h", pick=lambda _: 0))
        task = tasks.start(runner.run(), "scheduler")
        await asyncio.sleep(0)
        assert world.selected[PODS] == PODS_AT_LARGE
        assert all(not selector for one, selector in world.selected.items() if one is not PODS)
        world.watches[PODS].objects = [make_pod("waiting").obj]
        world.watches[NODES].objects = [make_node("n1")]
        for watch in world.watches.values():
            assert api.bound.empty()
            watch.synced.set()
        async with asyncio.timeout(90):
            assert await api.bound.get() == ("waiting", "n1")
            for callback in world.watches[PODS].callbacks:
                callback(None, make_pod("later").obj)
            assert await api.bound.get() == ("later", "n1")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await tasks.close()

    asyncio.run(main())
