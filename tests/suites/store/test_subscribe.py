"""Embedded drivers tell their subscribers of a change before its writer is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from knarr.storage import feed
from knarr.storage.store import Event, LaggedError

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
            # Who subscribes keeps the state himself: a driver need not tell of it.
            assert changed.previous in (None, ("/a", b"1", 1, 1))
            end()
            await store.create("/d", b"")
            assert len(heard) == 4

    asyncio.run(main())


@pytest.mark.parametrize("opening", ["memory", "sqlite"], indirect=True)
def test_a_watch_that_is_not_read_holds_a_bounded_number_of_events(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "LIMIT", 10)

    async def main() -> None:
        async with opened(opening) as store:
            await store.create("/a", b"1")
            watching = store.watch("/", 0).__aiter__()
            assert len(await anext(watching)) == 1
            for revision in range(1, 30):
                await store.update("/a", b"2", revision)
            with pytest.raises(LaggedError):
                await anext(watching)

    asyncio.run(main())
