"""A minute of faults: servers and etcd killed in turn while both servers are written to and watched."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from tests.etcd import Etcd, folder, needs_etcd

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client

from .world import Server, client_of

pytestmark = [needs_etcd, pytest.mark.long]
NAMES = [f"counter-{number}" for number in range(4)]
KILLS = 20


class Faults:
    """Two servers, an etcd, and what their clients have been promised and have seen."""

    def __init__(self, etcd: Etcd, servers: list[Server]) -> None:
        self.etcd = etcd
        self.servers = servers
        self.acknowledged = dict.fromkeys(NAMES, 0)
        self.unknown = dict.fromkeys(NAMES, 0)
        self.seen: list[list[Object]] = [[] for _ in servers]
        self.over = False

    @asynccontextmanager
    async def client(self, place: int) -> AsyncIterator[Client]:
        """A client of a server; `ConnectionError` while there is none."""
        try:
            access = await self.servers[place].ready()
        except (AssertionError, OSError, ValueError) as error:
            # Killed this moment, its kubeconfig half read.
            raise ConnectionError("not now") from error
        async with client_of(access) as client:
            yield client

    async def count(self, place: int) -> None:
        """Count up through one server until it is over."""
        turn = place
        while not self.over:
            try:
                async with self.client(place) as client:
                    while not self.over:
                        turn += 1
                        await self._step(client, NAMES[turn % len(NAMES)])
            except ConnectionError:
                await asyncio.sleep(0.05)

    async def _step(self, client: Client, name: str) -> None:
        try:
            obj = await client.get(registry.CONFIGMAPS, name, "default")
        except StatusError:
            await asyncio.sleep(0.05)
            return
        obj["data"]["n"] = str(int(obj["data"]["n"]) + 1)
        try:
            await client.update(registry.CONFIGMAPS, obj)
            self.acknowledged[name] += 1
        except (ConnectionError, StatusError) as error:
            if isinstance(error, StatusError) and error.reason == "Conflict":
                return
            self.unknown[name] += 1
            if isinstance(error, ConnectionError):
                raise

    async def watch(self, place: int, version: str) -> None:
        """Watch at one server, going on where the watch broke off."""
        while True:
            try:
                async with self.client(place) as client:
                    watching = client.watch(registry.CONFIGMAPS, "default", resourceVersion=version)
                    async with aclosing(watching) as events:
                        async for event in events:
                            version = event.object["metadata"]["resourceVersion"]
                            if event.object["metadata"]["name"] in NAMES:
                                self.seen[place].append(event.object)
            except ConnectionError:
                await asyncio.sleep(0.05)

    async def kill(self, rng: random.Random) -> None:
        """One fault after another."""
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(1, 3))
            victims: list[Server | Etcd] = [*self.servers, self.etcd]
            victim = rng.choice(victims)
            victim.kill()
            await asyncio.sleep(rng.uniform(0, 0.5))
            await asyncio.to_thread(victim.start)
        await asyncio.sleep(3)

    def check(self, final: dict[str, int]) -> None:
        """Nothing promised is missing, and each step came to each watcher, once and in order."""
        for name, value in final.items():
            assert self.acknowledged[name] <= value <= self.acknowledged[name] + self.unknown[name]
            for seen in self.seen:
                steps = [int(obj["data"]["n"]) for obj in seen if obj["metadata"]["name"] == name]
                assert steps == list(range(1, value + 1))
        for seen in self.seen:
            versions = [int(obj["metadata"]["resourceVersion"]) for obj in seen]
            assert versions == sorted(versions)


async def run(faults: Faults, seed: int) -> None:
    async with faults.client(0) as client:
        for name in NAMES:
            await client.create(registry.CONFIGMAPS, {"metadata": {"name": name}, "data": {"n": "0"}}, "default")
        start = (await client.list(registry.CONFIGMAPS, "default"))["metadata"]["resourceVersion"]
    watchers = [asyncio.ensure_future(faults.watch(place, start)) for place in (0, 1)]
    workers = [asyncio.ensure_future(faults.count(number % 2)) for number in range(4)]
    await faults.kill(random.Random(seed))
    faults.over = True
    await asyncio.wait_for(asyncio.gather(*workers), 90)
    async with faults.client(0) as client:
        items = (await client.list(registry.CONFIGMAPS, "default"))["items"]
    final = {item["metadata"]["name"]: int(item["data"]["n"]) for item in items if item["metadata"]["name"] in NAMES}
    async with asyncio.timeout(90):
        while any(len(seen) < sum(final.values()) for seen in faults.seen):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    for watcher in watchers:
        watcher.cancel()
    faults.check(final)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_whoever_is_killed(seed: int) -> None:
    with folder() as path:
        etcd = Etcd(path / "etcd")
        flags = ("--role", "apiserver")
        servers = [
            Server(path, f"server-{number}", etcd.endpoint, *flags, "--advertise-address", f"192.0.2.{number}")
            for number in (1, 2)
        ]
        try:
            etcd.start()
            for server in servers:
                server.start()
            asyncio.run(run(Faults(etcd, servers), seed))
        finally:
            for server in servers:
                server.kill()
            etcd.kill()
