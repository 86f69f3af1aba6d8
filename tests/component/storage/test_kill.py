"""A store whose process is killed while it writes: what was acknowledged is there, and no revision comes twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from knarr.storage.sqlite import SqliteStore
from knarr.storage.store import StoreError

_WRITER = """
import asyncio, os, sys
from pathlib import Path
from knarr.storage.sqlite import SqliteStore

async def write(store, name):
    key, step = f"/w/{name}", 0
    current = await store.get(key)
    revision = current.mod_revision if current else 0
    step = int(current.value) if current else 0
    while True:
        step += 1
        if step % 7 == 0 and revision:
            await store.delete(key, revision)
            os.write(1, b"- %s %d\\n" % (name.encode(), step - 1))
            revision = 0
        value = b"%d" % step
        revision = await (store.update(key, value, revision) if revision else store.create(key, value))
        os.write(1, b"+ %s %d %d\\n" % (name.encode(), step, revision))

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    async def compact():
        while True:
            await asyncio.sleep(0.01)
            await store.compact(await store.revision() - 20)
    await asyncio.gather(compact(), *(write(store, f"k{number}") for number in range(6)))

asyncio.run(main())
"""


def _lines_until_killed(path: Path, count: int, seconds: float) -> list[list[bytes]]:
    """What the writer acknowledged until it was killed, at some moment behind the first `count` lines."""
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        text = b""
        while text.count(b"\n") < count:
            part = os.read(child.stdout.fileno(), 65536)
            assert part, "the writer ended by itself"
            text += part
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        text += child.stdout.read()
    return [line.split() for line in text.split(b"\n")[:-1]]


async def _state(path: Path) -> tuple[int, dict[bytes, tuple[int, int]]]:
    store = await SqliteStore.open(path)
    try:
        page = await store.list("/w/")
        found = {kv.key[3:].encode(): (int(kv.value), kv.mod_revision) for kv in page.items}
        return await store.revision(), found
    finally:
        await store.close()


def test_acknowledged_writes_outlive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    used: set[int] = set()
    last = 0
    for round_number in range(5):
        lines = _lines_until_killed(path, 60, 0.013 * round_number)
        revisions = [int(line[3]) for line in lines if line[0] == b"+"]
        assert len(set(revisions)) == len(revisions)
        assert not used & set(revisions)
        used |= set(revisions)
        newest = {line[1]: line for line in lines}
        revision, found = asyncio.run(_state(path))
        assert revision >= max(revisions) > last
        for name, line in newest.items():
            value, at = found.get(name, (0, 0))
            # One further write of each key may have become durable without its answer having come through.
            if line[0] == b"+" and value == int(line[2]):
                assert at == int(line[3])
            else:
                assert value in (0, int(line[2]) + 1)
        last = revision


def test_two_processes_cannot_hold_one_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(StoreError, match="in use"):
            asyncio.run(SqliteStore.open(path))
        child.kill()
        child.stdout.read()
