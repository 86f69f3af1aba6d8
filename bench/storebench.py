"""What a write costs in each store: alone, and with writers side by side. Usage: bench/storebench.py [FOLDER]

etcd is measured where it is installed; its own CPU is not counted, ours is.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from knarr.storage.etcd.store import EtcdStore
from knarr.storage.sqlite import SqliteStore
from knarr.storage.store import Store

VALUE = b"x" * 1000
WRITERS = (1, 16, 128)


async def measure(store: Store, name: str, writers: int, writes: int) -> None:
    began, cpu = time.monotonic(), time.process_time()

    async def write(worker: int) -> None:
        for number in range(writes // writers):
            await store.create(f"/registry/things/{writers}-{worker}/{number}", VALUE)

    await asyncio.gather(*(write(worker) for worker in range(writers)))
    seconds, spent = time.monotonic() - began, time.process_time() - cpu
    rate, cost = writes / seconds, spent / writes * 1e6
    print(f"{name:6} {writers:4} writers: {rate:8,.0f} writes/s, {cost:6.1f} us CPU a write")


async def fresh_reads(store: Store) -> None:
    """What each read costs that must see what other servers wrote."""
    began, cpu, count = time.monotonic(), time.process_time(), 1000
    for _ in range(count):
        await store.revision()
    seconds, spent = time.monotonic() - began, time.process_time() - cpu
    print(f"etcd   fresh revision: {seconds / count * 1e6:6.0f} us, {spent / count * 1e6:6.1f} us CPU")


async def sqlite(folder: Path) -> None:
    for writers in WRITERS:
        store = await SqliteStore.open(folder / f"{writers}.db")
        await measure(store, "sqlite", writers, 8000)
        await store.close()


async def etcd(endpoint: str) -> None:
    store = await EtcdStore.open(endpoint, period=0)
    for writers in WRITERS:
        await measure(store, "etcd", writers, 3000)
    await fresh_reads(store)
    await store.close()


@contextlib.contextmanager
def running_etcd(folder: Path) -> Iterator[str]:
    """One member on unix sockets; gives its endpoint."""
    client, peer = "unix://client:0", "unix://peer:0"
    command = ["etcd", "--data-dir", "data", "--listen-client-urls", client, "--advertise-client-urls", client]
    command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    command += ["--initial-cluster", f"default={peer}", "--logger", "zap", "--log-level", "error"]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(f"{folder}/client:0"):
                time.sleep(0.02)
        yield f"unix://{folder}/client:0"
    finally:
        process.kill()
        process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        uvloop.run(sqlite(Path(folder)))
        if shutil.which("etcd"):
            with running_etcd(Path(folder)) as endpoint:
                uvloop.run(etcd(endpoint))


if __name__ == "__main__":
    main()
