"""What a write costs in the SQLite store: alone, and with writers side by side. Usage: bench/storebench.py [FOLDER]"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from knarr.storage.sqlite import SqliteStore

VALUE = b"x" * 1000
WRITES = 8000


async def measure(folder: Path, writers: int) -> None:
    store = await SqliteStore.open(folder / f"{writers}.db")
    began, cpu = time.monotonic(), time.process_time()

    async def write(worker: int) -> None:
        for number in range(WRITES // writers):
            await store.create(f"/registry/things/{worker}/{number}", VALUE)

    await asyncio.gather(*(write(worker) for worker in range(writers)))
    seconds, spent = time.monotonic() - began, time.process_time() - cpu
    print(f"{writers:4} writers: {WRITES / seconds:8,.0f} writes/s, {spent / WRITES * 1e6:6.1f} us CPU a write")
    await store.close()


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for writers in (1, 16, 128):
            uvloop.run(measure(Path(folder), writers))


if __name__ == "__main__":
    main()
