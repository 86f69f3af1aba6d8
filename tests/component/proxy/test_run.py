"""The proxy at work on a real kernel's table, in a network namespace of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from knarr.api.registry import NODES, SERVICES, resource
from knarr.api.resources import Resource
from knarr.component_base.clock import RealClock
from knarr.component_base.tasks import Tasks
from knarr.proxy import run
from knarr.proxy.ruleset import TABLE, Layout
from knarr.proxy.run import Proxy, Settings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces"),
]
SLICES = resource("endpointslices", "discovery.k8s.io")
LAYOUT = Layout("10.42.0.0/16", "10.43.0.0/16")


class Watch:
    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.callbacks: list[Callable[[Any, Any], None]] = []

    def listen(self, callback: Callable[[Any, Any], None], /) -> None:
        self.callbacks.append(callback)

    def tell(self, old: Any, new: Any) -> None:
        for callback in self.callbacks:
            callback(old, new)


class World:
    """Watches that a test feeds."""

    def __init__(self) -> None:
        self.watches: dict[Resource, Watch] = {}
        self.selected: dict[Resource, str] = {}

    def add(
        self, one: Resource, /, *, namespace: str = "", field_selector: str = "", label_selector: str = ""
    ) -> Watch:
        self.selected[one] = field_selector
        return self.watches.setdefault(one, Watch())


class Namespace:
    """A network namespace, and a program that is `nft` inside it."""

    def __init__(self, folder: Path) -> None:
        self.name = f"knarr-test-proxy-{os.getpid()}"
        self.nft = folder / "nft"
        self.nft.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} nft "$@"\n')
        self.nft.chmod(0o755)

    def list(self) -> str:
        out = subprocess.run([self.nft, "list", "ruleset"], capture_output=True, text=True, check=True)
        return out.stdout


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Namespace]:
    made = Namespace(tmp_path)
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    yield made
    subprocess.run(["ip", "netns", "delete", made.name], check=True)


def service(name: str, address: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns"}
    return {"metadata": meta, "spec": {"clusterIP": address, "ports": [{"port": 80, "protocol": "TCP"}]}}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - the kernel's table sends no event
            await asyncio.sleep(0.01)


def playing(namespace: Namespace, story: Callable[[Proxy, World], Any]) -> None:
    async def main() -> None:
        world, tasks = World(), Tasks()
        proxy = Proxy(world, RealClock(), Settings("n1", LAYOUT, str(namespace.nft)))
        assert world.selected == {SERVICES: "", SLICES: "", NODES: "metadata.name=n1"}
        await proxy.start(tasks)
        try:
            await story(proxy, world)
        finally:
            await proxy.close()
            await tasks.close()

    asyncio.run(main())


def test_rules_wait_for_all_watches_and_then_follow_changes(namespace: Namespace) -> None:
    async def story(proxy: Proxy, world: World) -> None:
        world.watches[SERVICES].tell(None, service("a", "10.43.0.1"))
        for watch in world.watches.values():
            assert TABLE not in namespace.list()
            watch.synced.set()
        async with asyncio.timeout(90):
            await proxy.ready.wait()
        assert "10.43.0.1" in namespace.list()
        assert proxy.is_healthy()
        before = proxy.counters.syncs
        for number in range(2, 30):
            world.watches[SERVICES].tell(None, service(f"s{number}", f"10.43.0.{number}"))
        await until(lambda: proxy.counters.syncs > before)
        assert "10.43.0.29" in namespace.list()
        assert proxy.counters.syncs == before + 1
        world.watches[SERVICES].tell(service("a", "10.43.0.1"), None)
        await until(lambda: "10.43.0.1 " not in namespace.list())
        await proxy.remove()
        assert TABLE not in namespace.list()

    playing(namespace, story)


def test_a_flushed_table_comes_back(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "VERIFY", 0.05)

    async def story(proxy: Proxy, world: World) -> None:
        world.watches[SERVICES].tell(None, service("a", "10.43.0.1"))
        for watch in world.watches.values():
            watch.synced.set()
        async with asyncio.timeout(90):
            await proxy.ready.wait()
        subprocess.run([namespace.nft, "flush", "ruleset"], check=True)
        await until(lambda: "10.43.0.1" in namespace.list())

    playing(namespace, story)


def test_a_failing_nft_is_tried_again_and_shows(namespace: Namespace) -> None:
    async def story(proxy: Proxy, world: World) -> None:
        text = namespace.nft.read_text()
        namespace.nft.write_text("#!/bin/sh\necho no >&2; exit 1\n")
        world.watches[SERVICES].tell(None, service("a", "10.43.0.1"))
        for watch in world.watches.values():
            watch.synced.set()
        await until(lambda: proxy.counters.failures > 0)
        assert not proxy.ready.is_set()
        assert proxy.health()["lastUpdated"] < proxy.health()["currentTime"]
        namespace.nft.write_text(text)
        async with asyncio.timeout(90):
            await proxy.ready.wait()
        assert "10.43.0.1" in namespace.list()

    playing(namespace, story)
