"""Embedded drivers tell their subscribers of a change before its writer is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.storage.store import Event

from .conftest import Opening, opened


@pytest.mark.parametrize("opening", ["memory", "sqlite"], indirect=True)
def test_subscribers_hear_of_a_change_before_its_writer(opening: Opening) -> None:
    async def main() -> None:
        async with opened(opening) as opened_store:
            store: Any = opened_store
            heard: list[Event] = []
            end = store.subscribe(heard.extend)
            assert await store.create("/a", b"1") == 1
            assert [event.kv.mod_revision for event in heard] == [1]
            await asyncio.gather(store.update("/a", b"2", 1), store.create("/b", b""), store.create("/c", b""))
            assert [event.kv.mod_revision for event in heard] == [1, 2, 3, 4]
            changed = next(event for event in heard[1:] if event.kv.key == "/a")
            assert changed.previous == ("/a", b"1", 1, 1)
            end()
            await store.create("/d", b"")
            assert len(heard) == 4

    asyncio.run(main())
