"""What 1,000 CustomResourceDefinitions cost: memory, and how soon each is served.

Starts a bare server in a fresh folder on loopback; each definition has some 50 fields.
Usage: python -m bench.crdbench [--count N]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from bench.floodbench import await_ready
from bench.measure import Connection, bare_server, rss_mib, tls
from knarr.component_base import kubeconfig

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUPS = 50


def definition(number: int) -> dict[str, Any]:
    group, plural = f"g{number % GROUPS}.example.com", f"things{number}"
    fields: dict[str, Any] = {f"field{n}": {"type": "string", "maxLength": 64, "description": "a"} for n in range(30)}
    fields["nested"] = {"type": "object", "properties": {f"n{n}": {"type": "integer"} for n in range(20)}}
    item = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    mapped = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    fields["list"] = {"type": "array", "items": item, **mapped}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": f"thing{number}", "kind": f"Thing{number}"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}


async def served(connection: Connection, number: int) -> float:
    """Seconds from the request that creates a definition to the first list of its objects."""
    body = definition(number)
    path = f"/apis/{body['spec']['group']}/v1/{body['spec']['names']['plural']}"
    began = time.monotonic()
    assert await connection.call("POST", DEFINITIONS, body) == 201
    while await connection.call("GET", path) != 200:  # noqa: ASYNC110 - what a client sees is measured
        await asyncio.sleep(0.002)
    return time.monotonic() - began


async def measure(folder: Path, pid: int, count: int) -> None:
    access = kubeconfig.load(folder / "kubeconfig")
    connection = await Connection(access, tls(access)).open()
    before = rss_mib(pid)
    times = sorted([await served(connection, number) for number in range(count)])
    p50, p99 = times[count // 2] * 1e3, times[count * 99 // 100] * 1e3
    print(f"| a new definition is served after | p50 {p50:.0f} ms, p99 {p99:.0f} ms |")
    print(f"| memory before and after {count} definitions | {before} MiB, {rss_mib(pid)} MiB |")
    for path in ("/openapi/v2", "/openapi/v3"):
        began = time.monotonic()
        assert await connection.call("GET", path) == 200
        print(f"| {path} | {time.monotonic() - began:.2f} s, {len(connection.body) // 1024} KiB |")
    print(f"| memory after that | {rss_mib(pid)} MiB |")
    await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, bare_server(Path(name)) as server:
        await_ready(Path(name))
        uvloop.run(measure(Path(name), server.pid, arguments.count))


if __name__ == "__main__":
    main()
