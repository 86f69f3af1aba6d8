"""Every driver, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from knarr.storage.memory import MemoryStore
from knarr.storage.sqlite import SqliteStore
from knarr.storage.store import Store

Opening: TypeAlias = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["memory", "sqlite"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens an empty store."""

    async def memory() -> Store:
        return MemoryStore()

    async def sqlite() -> Store:
        return await SqliteStore.open(tmp_path / "state.db")

    return memory if request.param == "memory" else sqlite


@asynccontextmanager
async def opened(opening: Opening) -> AsyncIterator[Store]:
    """An open store, closed at the end."""
    store = await opening()
    try:
        yield store
    finally:
        await store.close()
