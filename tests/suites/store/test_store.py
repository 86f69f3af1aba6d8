"""What every driver of the store must do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest

from knarr.storage.store import (
    CompactedError,
    ConflictError,
    Event,
    KeyExistsError,
    KeyNotFoundError,
    Store,
)

from .conftest import Opening, opened


def run(opening: Opening, test: Callable[[Store], Awaitable[None]]) -> None:
    async def main() -> None:
        async with opened(opening) as store:
            await asyncio.wait_for(test(store), 90)

    asyncio.run(main())


async def events_of(store: Store, prefix: str, after: int, count: int) -> list[Event]:
    found: list[Event] = []
    async with aclosing(cast(Any, store.watch(prefix, after))) as watch:
        async for batch in watch:
            found += batch
            if len(found) >= count:
                return found
    raise AssertionError("the watch ended")


def test_revisions_count_changes(opening: Opening) -> None:
    async def test(store: Store) -> None:
        start = await store.revision()
        assert await store.create("/a", b"1") == start + 1
        assert await store.create("/b", b"1") == start + 2
        assert await store.update("/a", b"2", start + 1) == start + 3
        assert await store.delete("/b", start + 2) == start + 4
        assert await store.revision() == start + 4
        state = await store.get("/a")
        assert state is not None
        assert tuple(state) == ("/a", b"2", start + 3, start + 1)
        assert await store.get("/b") is None

    run(opening, test)


def test_a_refused_write_changes_nothing(opening: Opening) -> None:
    async def test(store: Store) -> None:
        made = await store.create("/a", b"1")
        with pytest.raises(KeyExistsError):
            await store.create("/a", b"2")
        with pytest.raises(ConflictError) as conflict:
            await store.update("/a", b"2", made + 6)
        assert tuple(conflict.value.current) == ("/a", b"1", made, made)
        with pytest.raises(ConflictError):
            await store.delete("/a", made + 6)
        with pytest.raises(KeyNotFoundError):
            await store.update("/none", b"", 1)
        with pytest.raises(KeyNotFoundError):
            await store.delete("/none", 1)
        assert await store.revision() == made

    run(opening, test)


def test_a_key_made_again_is_a_new_one(opening: Opening) -> None:
    async def test(store: Store) -> None:
        made = await store.create("/a", b"1")
        await store.delete("/a", made)
        assert await store.create("/a", b"2") == made + 2
        state = await store.get("/a")
        assert state is not None
        assert state.create_revision == made + 2

    run(opening, test)


def test_lists_are_ordered_paged_and_bounded_by_their_prefix(opening: Opening) -> None:
    async def test(store: Store) -> None:
        revision = 0
        for key in ("/p/c", "/p/a", "/q/x", "/p/b", "/pp"):
            revision = await store.create(key, key.encode())
        page = await store.list("/p/", limit=2)
        assert [kv.key for kv in page.items] == ["/p/a", "/p/b"]
        assert (page.revision, page.remaining) == (revision, 1)
        rest = await store.list("/p/", after="/p/b", limit=2)
        assert [kv.key for kv in rest.items] == ["/p/c"]
        assert rest.remaining == 0
        assert (await store.list("/none/")).items == []

    run(opening, test)


def test_the_past_can_be_read_until_it_is_compacted(opening: Opening) -> None:
    async def test(store: Store) -> None:
        first = await store.create("/a", b"1")
        second = await store.create("/b", b"1")
        third = await store.update("/a", b"2", first)
        await store.delete("/b", second)
        old = await store.list("/", revision=second)
        assert [(kv.key, kv.value) for kv in old.items] == [("/a", b"1"), ("/b", b"1")]
        assert old.revision == second
        before = await store.get("/b", third)
        assert before is not None
        assert before.mod_revision == second
        await store.compact(third)
        with pytest.raises(CompactedError) as compacted:
            await store.list("/", revision=second)
        assert compacted.value.oldest == third
        with pytest.raises(CompactedError):
            await store.get("/a", second)
        kept = await store.list("/", revision=third)
        assert [(kv.key, kv.value) for kv in kept.items] == [("/a", b"2"), ("/b", b"1")]
        assert [kv.key for kv in (await store.list("/")).items] == ["/a"]

    run(opening, test)


def test_a_watch_gives_the_past_and_then_the_present_without_a_gap(opening: Opening) -> None:
    async def test(store: Store) -> None:
        start = await store.revision()
        await store.create("/w/a", b"1")
        await store.create("/x", b"1")
        watching = asyncio.ensure_future(events_of(store, "/w/", start, 4))
        await store.update("/w/a", b"2", start + 1)
        await asyncio.sleep(0)
        await store.create("/w/b", b"1")
        await store.delete("/w/a", start + 3)
        events = await watching
        assert [(e.kv.key, e.kv.mod_revision - start, e.deleted) for e in events] == [
            ("/w/a", 1, False),
            ("/w/a", 3, False),
            ("/w/b", 4, False),
            ("/w/a", 5, True),
        ]
        assert events[1].previous is not None
        assert events[1].previous.value == b"1"
        assert events[3].kv.value == b"2"
        assert [e.kv.mod_revision - start for e in await events_of(store, "/w/", start + 3, 2)] == [4, 5]

    run(opening, test)


def test_a_watch_of_the_compacted_past_is_refused(opening: Opening) -> None:
    async def test(store: Store) -> None:
        first = revision = await store.create("/a", b"1")
        for _ in range(5):
            revision = await store.update("/a", b"x", revision)
        await store.compact(first + 3)
        with pytest.raises(CompactedError):
            await events_of(store, "/", first + 2, 1)
        assert [e.kv.mod_revision for e in await events_of(store, "/", first + 3, 2)] == [first + 4, first + 5]

    run(opening, test)


def test_of_concurrent_writers_one_wins(opening: Opening) -> None:
    async def test(store: Store) -> None:
        made = await store.create("/a", b"0")
        outcomes = await asyncio.gather(
            *(store.update("/a", b"%d" % number, made) for number in range(20)), return_exceptions=True
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert won == [made + 1]
        assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 19

    run(opening, test)


def test_random_changes_agree_with_a_plain_model(opening: Opening) -> None:
    async def test(store: Store) -> None:
        rng = random.Random(7)
        start = await store.revision()
        model: dict[str, tuple[bytes, int]] = {}
        history: list[dict[str, tuple[bytes, int]]] = [{}]
        for step in range(300):
            key = f"/k/{rng.randrange(12)}"
            value = b"%d" % step
            known = model.get(key)
            if known is None:
                model[key] = (value, await store.create(key, value))
            elif rng.random() < 0.3:
                await store.delete(key, known[1])
                del model[key]
            else:
                model[key] = (value, await store.update(key, value, known[1]))
            history.append(dict(model))
        for revision in (1, 50, 151, 300):
            page = await store.list("/k/", revision=start + revision)
            assert {kv.key: (kv.value, kv.mod_revision) for kv in page.items} == history[revision]
        replayed: dict[str, bytes] = {}
        for event in await events_of(store, "/k/", start, 300):
            if event.deleted:
                del replayed[event.kv.key]
            else:
                replayed[event.kv.key] = event.kv.value
        assert replayed == {key: value for key, (value, _) in model.items()}
        await store.compact(start + 200)
        assert {kv.key for kv in (await store.list("/k/", revision=start + 200)).items} == set(history[200])
        assert {kv.key for kv in (await store.list("/k/")).items} == set(model)

    run(opening, test)
