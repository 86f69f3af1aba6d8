"""What each kind of request costs the API server: throughput, and CPU per request of the server's process.

Starts `knarr server --role apiserver` in a fresh folder on loopback.
Usage: python -m bench.apibench [--requests N] [--only WORD]
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from bench.measure import Connection, bare_server, cpu_seconds, rss_mib, tls
from knarr.component_base import allocator, kubeconfig

CONNECTIONS = 16
PODS = "/api/v1/namespaces/bench/pods"
MAPS = "/api/v1/namespaces/bench/configmaps"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
WATCHERS, UPDATES = 100, 300


def pod(number: int) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80, "name": "http"}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
    }
    labels = {"app": f"a{number % 10}", "bench": "1"}
    spec = {"nodeName": "bench-node-does-not-exist", "containers": [container]}
    return {"metadata": {"name": f"pod-{number}", "labels": labels}, "spec": spec}


def config_map(number: int, value: str = "x") -> dict[str, Any]:
    return {"metadata": {"name": f"map-{number}", "labels": {"bench": "1"}}, "data": {"key": value * 500, "n": "0"}}


class Bench:
    def __init__(self, access: kubeconfig.Access, pid: int, only: str = "") -> None:
        self._access, self._pid, self._context, self._only = access, pid, tls(access), only

    async def once(self, method: str, path: str, body: object = None) -> None:
        connection = await Connection(self._access, self._context).open()
        assert await connection.call(method, path, body) in (200, 201, 409)
        await connection.close()

    async def many(self, name: str, count: int, call: Callable[[int], tuple[Any, ...]]) -> None:
        """Send `count` requests over 16 connections and print what they cost."""
        if self._skips(name):
            return
        connections = [await Connection(self._access, self._context).open() for _ in range(CONNECTIONS)]

        async def work(worker: int) -> None:
            for number in range(worker, count, CONNECTIONS):
                status = await connections[worker].call(*call(number))
                assert status in (200, 201), (name, status)

        cpu, began = cpu_seconds([self._pid]), time.monotonic()
        await asyncio.gather(*(work(worker) for worker in range(CONNECTIONS)))
        seconds, spent = time.monotonic() - began, cpu_seconds([self._pid]) - cpu
        print(f"| {name} | {count / seconds:,.0f}/s | {spent / count * 1e6:,.0f} µs |", flush=True)
        for connection in connections:
            await connection.close()

    async def fan_out(self) -> None:
        """Change ConfigMaps one after the other while many watch them; print what an event costs."""
        if self._skips("watch"):
            return
        waits: list[float] = []
        watchers = [await Connection(self._access, self._context).open() for _ in range(WATCHERS)]
        since = await watchers[0].newest(MAPS)
        path = f"{MAPS}?watch=1&resourceVersion={since}"
        assert [await watcher.follow(path) for watcher in watchers] == [200] * WATCHERS
        marks = re.compile(rb'"mark":"t([0-9.]+)"')

        async def count(watcher: Connection) -> None:
            seen = 0
            while seen < UPDATES:
                found = marks.findall(await watcher.events())
                waits.extend(time.time() - float(mark) for mark in found)
                seen += len(found)

        counting = asyncio.gather(*(count(watcher) for watcher in watchers))
        connection = await Connection(self._access, self._context).open()
        await asyncio.sleep(1)
        cpu, began = cpu_seconds([self._pid]), time.monotonic()
        for number in range(UPDATES):
            mark = {"data": {"mark": f"t{time.time()}"}}
            assert await connection.call("PATCH", f"{MAPS}/map-{number}", mark, MERGE) == 200
        await asyncio.wait_for(counting, 60)
        seconds, spent = time.monotonic() - began, cpu_seconds([self._pid]) - cpu
        waits.sort()
        rate, late = len(waits) / seconds, waits[len(waits) * 99 // 100] * 1000
        cost = spent / len(waits) * 1e6
        print(
            f"| watch, {WATCHERS} watchers, an event (p99 {late:.0f} ms) | {rate:,.0f}/s | {cost:,.1f} µs |", flush=True
        )
        for watcher in (connection, *watchers):
            await watcher.close()

    def _skips(self, name: str) -> bool:
        """With `--only`, creations are made nevertheless: the others need them."""
        return bool(self._only) and self._only not in name and not name.startswith("POST")


async def measure(bench: Bench, count: int) -> None:
    await bench.once("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
    account = {"metadata": {"name": "default"}}
    await bench.once("POST", "/api/v1/namespaces/bench/serviceaccounts", account)
    await bench.many("POST pod", 1000, lambda n: ("POST", PODS, pod(n)))
    await bench.many("GET pod", count * 4, lambda n: ("GET", f"{PODS}/pod-{n % 1000}"))
    await bench.many("LIST 1,000 pods", 160, lambda n: ("GET", PODS))
    await bench.many(
        "LIST 1,000 pods, selector matching 100", count // 2, lambda n: ("GET", PODS + "?labelSelector=app%3Da3")
    )
    await bench.many("POST ConfigMap", count, lambda n: ("POST", MAPS, config_map(n)))
    await bench.many("PUT ConfigMap", count, lambda n: ("PUT", f"{MAPS}/map-{n}", config_map(n, "y")))
    patch = {"data": {"key": "z"}}
    await bench.many("merge-patch ConfigMap", count, lambda n: ("PATCH", f"{MAPS}/map-{n}", patch, MERGE))

    configuration = {"apiVersion": "v1", "kind": "ConfigMap"}
    forced = "?fieldManager=bench&force=true"
    await bench.many(
        "server-side apply ConfigMap",
        count,
        lambda n: ("PATCH", f"{MAPS}/map-{n}{forced}", {**configuration, **config_map(n, "w")}, APPLY),
    )

    def status(number: int) -> tuple[Any, ...]:
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        body = {"status": {"phase": "Running", "conditions": [condition]}}
        return "PATCH", f"{PODS}/pod-{number}/status", body, STRATEGIC

    await bench.many("strategic-merge-patch pod status", 1000, status)
    await bench.fan_out()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--only", default="", help="measure rows with this word in their name")
    arguments = parser.parse_args()
    allocator.map_blocks_from(4 * 1024 * 1024)
    with tempfile.TemporaryDirectory() as folder, bare_server(Path(folder)) as server:
        access = wait(Path(folder) / "kubeconfig", time.monotonic())
        print("| request | throughput | CPU |\n| --- | --- | --- |")
        uvloop.run(measure(Bench(access, server.pid, arguments.only), arguments.requests))
        print(f"\nRSS after it: {rss_mib(server.pid)} MiB")


def wait(config: Path, began: float) -> kubeconfig.Access:
    """The kubeconfig, once the server is ready."""
    from knarr.cmd.api import Api, Unreachable

    while time.monotonic() - began < 30:
        try:
            if Api(config).get("/readyz")[0] == 200:
                print(f"/readyz after {time.monotonic() - began:.2f} s\n")
                return kubeconfig.load(config)
        except Unreachable:
            pass
        time.sleep(0.01)
    raise SystemExit("the server is not ready after 30 s")


if __name__ == "__main__":
    main()
