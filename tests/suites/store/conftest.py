"""Every driver, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.etcd import Etcd, needs_etcd
from tests.etcd import running as etcd_running

from knarr.storage.etcd.store import EtcdStore
from knarr.storage.memory import MemoryStore
from knarr.storage.sqlite import SqliteStore
from knarr.storage.store import Store

Opening: TypeAlias = Callable[[], Awaitable[Store]]


@pytest.fixture(scope="session")
def etcd() -> Iterator[Etcd]:
    """One etcd for all tests; each begins with no keys, at whatever revision."""
    with etcd_running() as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", pytest.param("etcd", marks=needs_etcd)])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens an empty store."""

    async def memory() -> Store:
        return MemoryStore()

    async def sqlite() -> Store:
        return await SqliteStore.open(tmp_path / "state.db")

    if request.param == "etcd":
        return _on_etcd(request.getfixturevalue("etcd"))
    return memory if request.param == "memory" else sqlite


def _on_etcd(server: Etcd) -> Opening:
    async def opening() -> Store:
        store = await EtcdStore.open(server.endpoint, period=0)
        for kv in (await store.list("")).items:
            await store.delete(kv.key, kv.mod_revision)
        return store

    return opening


@asynccontextmanager
async def opened(opening: Opening) -> AsyncIterator[Store]:
    """An open store, closed at the end."""
    store = await opening()
    try:
        yield store
    finally:
        await store.close()
