"""An hour's churn: every object is updated once a second while watchers follow; memory and files must stay flat.

Starts `knarr server --role apiserver` in a fresh folder on loopback, prints its memory and the size of its database
now and then, and fails when either grows on after the first third of the time. Usage: python -m bench.soak
[--minutes 60] [--objects 1000] [--rate 1.0] [--watchers 4]
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.apibench import MAPS, config_map, wait
from bench.measure import Connection, bare_server, cpu_seconds, rss_mib, tls
from knarr.component_base import kubeconfig

CONNECTIONS = 8
#: How much more than in the first third memory (MiB) and files (MiB) may take in the last one.
SLACK_MEMORY, SLACK_FILES = 12, 24


@dataclass
class Soak:
    """The churn and what was seen of it."""

    access: kubeconfig.Access
    pid: int
    folder: Path
    objects: int
    rate: float
    updates: int = 0
    events: int = 0
    late: int = 0
    #: (minutes, MiB of memory, MiB of files).
    seen: list[tuple[float, int, float]] = field(default_factory=list)

    async def run(self, minutes: float, watchers: int, every: float) -> None:
        context = tls(self.access)
        connections = [await Connection(self.access, context).open() for _ in range(CONNECTIONS)]
        await connections[0].call("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
        for number in range(self.objects):
            assert await connections[0].call("POST", MAPS, config_map(number)) == 201
        end = time.monotonic() + minutes * 60
        readers = [await Connection(self.access, context).open() for _ in range(watchers)]
        following = [asyncio.ensure_future(self._follow(reader)) for reader in readers]
        await asyncio.gather(
            self._look(end, every), *(self._update(worker, one, end) for worker, one in enumerate(connections))
        )
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    async def _update(self, worker: int, connection: Connection, end: float) -> None:
        """Update a share of the objects, each once a period."""
        mine = range(worker, self.objects, CONNECTIONS)
        gap = 1 / (self.rate * len(mine))
        due, turn = time.monotonic(), 0
        while (now := time.monotonic()) < end:
            if now < due:
                await asyncio.sleep(due - now)
            elif now > due + 1:
                self.late += 1
                due = now
            number = mine[turn % len(mine)]
            value = chr(97 + turn // len(mine) % 26)
            status = await connection.call("PUT", f"{MAPS}/map-{number}", config_map(number, value))
            assert status == 200, status
            self.updates += 1
            turn, due = turn + 1, due + gap

    async def _follow(self, connection: Connection) -> None:
        """Read a watch as quickly as it comes."""
        assert (
            await connection.follow(f"{MAPS}?watch=1&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds=36000")
            == 200
        )
        while piece := await connection.events():
            self.events += piece.count(b'{"type":')

    async def _look(self, end: float, every: float) -> None:
        began, cpu = time.monotonic(), cpu_seconds([self.pid])
        print("| minutes | updates | events | late | server CPU | RSS | database | log |\n|" + " --- |" * 8, flush=True)
        while True:
            await asyncio.sleep(min(every, max(end - time.monotonic(), 0)))
            minutes = (time.monotonic() - began) / 60
            used = (cpu_seconds([self.pid]) - cpu) / (minutes * 60)
            data, log = self._files("db"), self._files("db-wal")
            self.seen.append((minutes, rss_mib(self.pid), data + log))
            print(
                f"| {minutes:.1f} | {self.updates:,} | {self.events:,} | {self.late} | {used:.0%} "
                f"| {self.seen[-1][1]} MiB | {data:.1f} MiB | {log:.1f} MiB |",
                flush=True,
            )
            if time.monotonic() >= end:
                return

    def _files(self, kind: str) -> float:
        return sum(path.stat().st_size for path in self.folder.rglob(f"*.{kind}")) / 2**20

    def verdict(self) -> str:
        """What grew; empty when nothing did."""
        third = max(len(self.seen) // 3, 1)
        first, last = self.seen[third : 2 * third] or self.seen, self.seen[-third:]
        memory = max(row[1] for row in last) - max(row[1] for row in first)
        files = max(row[2] for row in last) - max(row[2] for row in first)
        grown = [f"memory by {memory} MiB"] if memory > SLACK_MEMORY else []
        return ", ".join(grown + ([f"files by {files:.0f} MiB"] if files > SLACK_FILES else []))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1.0, help="updates a second of each object")
    parser.add_argument("--watchers", type=int, default=4)
    parser.add_argument("--every", type=float, default=30, help="seconds between two looks")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="knarr-soak-") as name, bare_server(Path(name)) as server:
        folder = Path(name)
        access = wait(folder / "kubeconfig", time.monotonic())
        soak = Soak(access, server.pid, folder / "data", arguments.objects, arguments.rate)
        uvloop.run(soak.run(arguments.minutes, arguments.watchers, arguments.every))
        errors = len(re.findall(rb" ERROR ", (folder / "log").read_bytes()))
    if errors or soak.verdict():
        raise SystemExit(f"it grew: {soak.verdict() or 'nothing'}; {errors} errors in the server's log")
    print("flat")


if __name__ == "__main__":
    main()
