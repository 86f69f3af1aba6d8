"""What one user's flood does to another.

Starts a bare server in a fresh folder on loopback. One service account sends writes (dry runs), or lists of 3,000
objects, on 200 connections, from a process of its own, while another reads single objects one after the other. Printed:
how long the reads took before and during the flood, and what became of the flood's requests.
Usage: python -m bench.floodbench [--seconds N] [--flood writes|lists|tables]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from bench.measure import JSON, Connection, bare_server, tls
from knarr.cmd.api import Api, Unreachable
from knarr.component_base import kubeconfig

FLOODERS, OBJECTS, MOST_READS = 200, 3000, 5000
MAPS = "/api/v1/namespaces/bench/configmaps"
DRY = {"metadata": {"name": "flood"}, "data": {"k": "x" * 500}}
#: What the flood sends, by its name: method, path, body, what it accepts.
FLOODS: dict[str, tuple[str, str, Any, str]] = {
    "writes": ("POST", f"{MAPS}?dryRun=All", DRY, JSON),
    "lists": ("GET", MAPS, None, JSON),
    "tables": ("GET", f"{MAPS}?labelSelector=a%21%3Db", None, f"{JSON};as=Table;v=v1;g=meta.k8s.io"),
}


async def _flood(access: kubeconfig.Access, kind: str, seconds: float, told: Any) -> None:
    context, statuses, until = tls(access), Counter[int](), time.monotonic() + seconds
    method, path, body, accept = FLOODS[kind]

    async def one() -> None:
        connection = await Connection(access, context).open()
        while time.monotonic() < until:
            statuses[await connection.call(method, path, body, accept=accept)] += 1
        await connection.close()

    await asyncio.gather(*(one() for _ in range(FLOODERS)))
    told.send(dict(statuses))


def flood(access: kubeconfig.Access, kind: str, seconds: float, told: Any) -> None:
    uvloop.run(_flood(access, kind, seconds, told))


async def reads(access: kubeconfig.Access, seconds: float) -> list[float]:
    """Seconds that reads took, sorted; those that were refused count as the longest."""
    times: list[float] = []
    connection = await Connection(access, tls(access)).open()
    until = time.monotonic() + seconds
    while time.monotonic() < until and len(times) < MOST_READS:
        began = time.monotonic()
        status = await connection.call("GET", f"{MAPS}/map-{len(times) % OBJECTS}")
        times.append(time.monotonic() - began if status == 200 else float("inf"))
    await connection.close()
    return sorted(times)


async def prepare(access: kubeconfig.Access) -> dict[str, kubeconfig.Access]:
    """Objects, and two service accounts that may read them; gives their credentials."""
    connection = await Connection(access, tls(access)).open()
    assert await connection.call("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}}) == 201
    for number in range(OBJECTS):
        body = {"metadata": {"name": f"map-{number}"}, "data": {"k": "x" * 500}}
        assert await connection.call("POST", MAPS, body) == 201
    names = ("noisy", "quiet")
    for name in names:
        assert await connection.call("POST", f"{MAPS[:-10]}serviceaccounts", {"metadata": {"name": name}}) == 201
    binding = {
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "bench"} for name in names],
    }
    path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    assert await connection.call("POST", path, binding) == 201
    await connection.close()
    return {name: replace(access, certificate=b"", key=b"", token=await token(access, name)) for name in names}


async def token(access: kubeconfig.Access, name: str) -> str:
    connection = await Connection(access, tls(access)).open()
    path = f"{MAPS[:-10]}serviceaccounts/{name}/token"
    assert await connection.call("POST", path, {"spec": {}}) == 201
    await connection.close()
    return str(json.loads(connection.body)["status"]["token"])


def show(when: str, times: list[float]) -> None:
    p50, p99 = times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3
    print(
        f"| reads {when} | p50 {p50:.1f} ms | p99 {p99:.1f} ms, {len(times)} reads, longest {times[-1] * 1e3:.0f} ms |",
        flush=True,
    )


async def measure(folder: Path, kind: str, seconds: float) -> None:
    access = await prepare(kubeconfig.load(folder / "kubeconfig"))
    show("alone", await reads(access["quiet"], 2))
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    noise = spawning.Process(target=flood, args=(access["noisy"], kind, seconds, there))
    noise.start()
    await asyncio.sleep(3)
    show("in the flood", await reads(access["quiet"], seconds - 6))
    over = not noise.is_alive()
    noise.join()
    assert not over, f"the flood was over before the reads were: {here.recv()}"
    print(f"| the flood's answers | {here.recv()} | |")


def await_ready(folder: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            if Api(folder / "kubeconfig").get("/readyz")[0] == 200:
                return
        except Unreachable:
            pass
        assert time.monotonic() < until, (folder / "log").read_text()
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--flood", choices=FLOODS, default="writes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, bare_server(Path(name)):
        await_ready(Path(name))
        uvloop.run(measure(Path(name), arguments.flood, arguments.seconds))


if __name__ == "__main__":
    main()
