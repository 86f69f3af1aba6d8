"""The SQLite store and its file: restarts, kill -9, room."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from knarr.storage import sqlite_log
from knarr.storage.sqlite import SqliteStore
from knarr.storage.store import StoreError

_WRITER = """
import asyncio, sys
from pathlib import Path
from knarr.storage.sqlite import SqliteStore

async def write(store, worker):
    number = 0
    while True:
        number += 1
        key = f"/{worker}/{number}"
        print(key, await store.create(key, b"x" * 300), flush=True)

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    print("before", await store.revision(), flush=True)
    await asyncio.gather(*(write(store, f"{sys.argv[2]}-{worker}") for worker in range(8)))

asyncio.run(main())
"""


def test_kill_9_loses_nothing_acknowledged_and_no_revision_twice(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    acknowledged: dict[str, int] = {}
    for round_ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(round_)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for line in writer.stdout:
            key, revision = line.split()
            if key == "before":
                assert int(revision) >= max(acknowledged.values(), default=0)
                continue
            assert int(revision) not in acknowledged.values() or acknowledged.get(key) == int(revision)
            acknowledged[key] = int(revision)
            if len(acknowledged) % 150 == 0:
                writer.send_signal(signal.SIGKILL)
                break
        rest = writer.stdout.read()
        writer.stdout.close()
        writer.wait()
        for line in rest.splitlines(keepends=True):
            if line.endswith("\n"):
                key, revision = line.split()
                acknowledged[key] = int(revision)

    async def check() -> None:
        store = await SqliteStore.open(path)
        try:
            found = {kv.key: kv.mod_revision for kv in (await store.list("/")).items}
            assert acknowledged.items() <= found.items()
            assert len(set(found.values())) == len(found)
        finally:
            await store.close()

    asyncio.run(check())


def test_history_and_revision_survive_a_restart_even_of_an_emptied_store(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "state.db")
        await store.create("/a", b"1")
        await store.delete("/a", 1)
        await store.compact(2)
        await store.close()
        store = await SqliteStore.open(tmp_path / "state.db")
        assert await store.revision() == 2
        assert await store.create("/a", b"1") == 3
        await store.close()

    asyncio.run(main())


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "state.db")
        with pytest.raises(StoreError, match="in use by another process"):
            await SqliteStore.open(tmp_path / "state.db")
        await store.close()

    asyncio.run(main())


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database" * 1000)

    async def main() -> None:
        with pytest.raises(StoreError, match="not a database"):
            await SqliteStore.open(tmp_path / "state.db")

    asyncio.run(main())


def test_the_file_stays_bounded_under_endless_updates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "KEPT_REVISIONS", 1000)

    async def main() -> int:
        store = await SqliteStore.open(tmp_path / "state.db")
        revisions = [await store.create(f"/{number}", b"x") for number in range(20)]
        for _ in range(300):
            revisions = await asyncio.gather(
                *(store.update(f"/{number}", b"x" * 2000, revision) for number, revision in enumerate(revisions))
            )
        await store.close()
        return (tmp_path / "state.db").stat().st_size

    # 6,000 updates of 2 kB; about 1,500 are kept.
    assert asyncio.run(main()) < 6_000_000
