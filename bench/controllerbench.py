"""What controllers and scheduler do on simulated nodes, and what everybody else notices of it.

Starts `knarr server` and `knarr simulate` on loopback. Prints, as rows of a table: how long 10,000 pods of 100
Deployments take to be made, rolled and deleted, with the API's p99 meanwhile (a reader and a writer of single objects
ask all the time); how long a Deployment of 1,000 pods takes to roll; what an idle cluster of 100 nodes and 1,000 pods
costs; the memory. Usage: python -m bench.controllerbench [--pods 10000] [--deployments 100] [--nodes 150] [--idle 60]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.apibench import config_map, wait
from bench.measure import Connection, bare_server, cpu_seconds, rss_mib, tls
from knarr.component_base import kubeconfig

NAMESPACE = "bench"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
MERGE_PATCH = "application/merge-patch+json"
#: Seconds between two requests of the reader and of the writer, and between two looks at how things stand.
PROBE, LOOK = 0.02, 0.25
PATIENCE = 1200.0


def deployment(name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "main", "image": "nginx", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    return {
        "metadata": {"name": name, "labels": {"bench": "1"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@dataclass
class Probe:
    """Somebody who reads and writes single objects all the time."""

    access: kubeconfig.Access
    seconds: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask as long as the block lasts; `seconds` begins anew."""
        self.seconds.clear()
        context = tls(self.access)
        reader, writer = [await Connection(self.access, context).open() for _ in range(2)]
        await writer.call("POST", MAPS, config_map(0))
        path = f"{MAPS}/{config_map(0)['metadata']['name']}"
        tasks = [
            asyncio.ensure_future(self._ask(reader, "GET", path)),
            asyncio.ensure_future(self._ask(writer, "PATCH", path)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, connection: Connection, method: str, path: str) -> None:
        number = 0
        while True:
            number += 1
            body = {"data": {"n": str(number)}} if method == "PATCH" else None
            began = time.monotonic()
            assert await connection.call(method, path, body, MERGE_PATCH) == 200
            self.seconds.append(time.monotonic() - began)
            await asyncio.sleep(PROBE)

    def p99(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[int(len(ordered) * 0.99)] if ordered else 0.0


class Bench:
    """A running cluster, and how it is measured."""

    def __init__(self, access: kubeconfig.Access, pid: int) -> None:
        self.access, self.pid = access, pid
        self.probe = Probe(access)

    async def run(self, options: argparse.Namespace) -> None:
        self.asking = await Connection(self.access, tls(self.access)).open()
        await self.asking.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await self.until(lambda found: found.get("kind") == "ServiceAccount", self._account)
        await self.until(lambda found: len(found["items"]) == options.nodes, "/api/v1/nodes")
        await self.idle(options)
        await self.many(options)
        await self.one(1000)
        print(f"| server's memory at the end | {rss_mib(self.pid)} MiB | |", flush=True)

    @property
    def _account(self) -> str:
        return f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"

    async def idle(self, options: argparse.Namespace) -> None:
        """1,000 pods that do nothing."""
        await self.create(10, 1000)
        await self.settled(1000)
        await asyncio.sleep(15)
        before, since = cpu_seconds([self.pid]), time.monotonic()
        await asyncio.sleep(options.idle)
        share = (cpu_seconds([self.pid]) - before) / (time.monotonic() - since)
        print(
            f"| idle, {options.nodes} nodes, 1,000 pods | {share:.1%} of a core | {rss_mib(self.pid)} MiB |", flush=True
        )
        await self.delete()

    async def many(self, options: argparse.Namespace) -> None:
        """All the pods: made, rolled, deleted."""
        what = f"{options.pods:,} pods of {options.deployments} Deployments"
        async with self.measured(f"{what} made, all ready", options.pods):
            await self.create(options.deployments, options.pods)
            await self.settled(options.pods)
        print(f"| … the server's memory | {rss_mib(self.pid)} MiB | |", flush=True)
        async with self.measured("… rolled", options.pods):
            await self.roll(options.deployments)
            await self.settled(options.pods)
        async with self.measured("… deleted", options.pods):
            await self.delete()

    async def one(self, pods: int) -> None:
        """One large Deployment, rolled."""
        await self.create(1, pods)
        await self.settled(pods)
        async with self.measured(f"one Deployment of {pods:,} pods rolled", pods):
            await self.roll(1)
            await self.settled(pods)
        await self.delete()

    @asynccontextmanager
    async def measured(self, what: str, pods: int) -> AsyncIterator[None]:
        """A row: seconds, CPU a pod, the API's p99."""
        async with self.probe.asking():
            began, before = time.monotonic(), cpu_seconds([self.pid])
            yield
            seconds, cpu = time.monotonic() - began, (cpu_seconds([self.pid]) - before) / pods
            figures = f"{cpu * 1000:.1f} ms CPU a pod; API p99 {self.probe.p99() * 1000:.0f} ms"
        print(f"| {what} | {seconds:.1f} s | {figures} |", flush=True)

    async def create(self, deployments: int, pods: int) -> None:
        for index in range(deployments):
            body = deployment(f"d{index}", pods // deployments)
            assert await self.asking.call("POST", DEPLOYMENTS, body) == 201, self.asking.body

    async def roll(self, deployments: int) -> None:
        annotations = {"bench/rolled": str(time.monotonic())}
        patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        for index in range(deployments):
            assert await self.asking.call("PATCH", f"{DEPLOYMENTS}/d{index}", patch, MERGE_PATCH) == 200

    async def delete(self) -> None:
        assert await self.asking.call("DELETE", DEPLOYMENTS) == 200
        await self.until(lambda found: not found["items"], f"{PODS}?limit=1")

    async def settled(self, pods: int) -> None:
        """Every Deployment has all its pods, of its newest template, available, and no others."""

        def is_settled(found: dict[str, Any]) -> bool:
            total = 0
            for item in found["items"]:
                status, replicas = item.get("status", {}), item["spec"]["replicas"]
                seen = status.get("observedGeneration") == item["metadata"]["generation"]
                counts = {status.get(name) for name in ("replicas", "updatedReplicas", "availableReplicas")}
                if not seen or counts != {replicas}:
                    return False
                total += replicas
            return total == pods

        await self.until(is_settled, DEPLOYMENTS)

    async def until(self, condition: Callable[[dict[str, Any]], bool], path: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            await self.asking.call("GET", path)
            if condition(json.loads(self.asking.body)):
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"{path} does not become what it should")
            await asyncio.sleep(LOOK)


@contextmanager
def simulation(folder: Path, nodes: int) -> Iterator[None]:
    command = [sys.executable, "-m", "knarr.cmd.main", "simulate", "--kubeconfig", f"{folder}/kubeconfig", "--keep"]
    with (folder / "simulation").open("wb") as output:
        process = subprocess.Popen(
            [*command, "--nodes", str(nodes)], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10000)
    parser.add_argument("--deployments", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=150)
    parser.add_argument("--idle", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bare_server(folder, "all") as server:
            access = wait(folder / "kubeconfig", time.monotonic())
            with simulation(folder, options.nodes):
                uvloop.run(Bench(access, server.pid).run(options))


if __name__ == "__main__":
    main()
