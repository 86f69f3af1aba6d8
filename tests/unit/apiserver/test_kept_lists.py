"""Lists that are kept are those that would be made now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import registry
from knarr.apiserver import kept_lists
from knarr.apiserver.kept_lists import KeptLists
from knarr.apiserver.watch_cache import Collection, Entry
from knarr.storage.store import Event, KeyValue

ALL = "/registry/configmaps/"
#: How large an object is written (none: it is deleted), and under which label.
STEP = st.tuples(
    st.integers(0, 12), st.sampled_from([None, 100, 20_000, 50_000, 140_000]), st.sampled_from("xy"), st.booleans()
)


def write(collection: Collection, revision: int, name: str, size: int | None, label: str = "x") -> None:
    obj = {"metadata": {"name": name, "labels": {"l": label}}, "data": {"d": "." * (size or 0)}}
    value = orjson.dumps({**obj, "kind": "ConfigMap", "apiVersion": "v1"})
    collection.apply(Event(KeyValue(ALL + name, value, revision, 1), size is None, None))


def everything(collection: Collection) -> list[Entry]:
    return list(collection.range(ALL))


def joined(entries: list[Entry]) -> bytes:
    return b",".join(entry.body for entry in entries)


@given(st.lists(STEP, max_size=25))
def test_they_follow_every_change(steps: list[tuple[int, int | None, str, bool]]) -> None:
    async def run() -> None:
        collection, lists = Collection(registry.CONFIGMAPS, "v1"), KeptLists()
        for revision, (number, size, label, asked) in enumerate(steps, 1):
            write(collection, revision, f"a/{number:02}", size, label)
            if not asked:
                continue
            found: dict[str, Callable[[], Iterable[Entry]]] = {
                "all": partial(everything, collection),
                "x": partial(collection.labelled, "l", "x", ALL),
                "one": partial(collection.range, ALL + "a/03"),
            }
            for question, find in found.items():
                runs = lists.runs(question, collection, find)
                assert runs is None or b"".join(runs) == joined(list(find()))

    asyncio.run(run())


def test_only_what_was_asked_for_before_is_kept_and_a_change_spoils_one_run() -> None:
    async def run() -> None:
        collection, lists = Collection(registry.CONFIGMAPS, "v1"), KeptLists()
        find = partial(everything, collection)
        for number in range(40):
            write(collection, number + 1, f"a/{number:02}", 10_000)
        assert lists.runs("all", collection, find) is None
        before = lists.runs("all", collection, find)
        assert before is not None
        assert lists.runs("all", collection, find) is before
        write(collection, 100, "a/20", 10_000)
        after = lists.runs("all", collection, find)
        assert after is not None
        assert [one is two for one, two in zip(before, after, strict=True)].count(False) == 1

    asyncio.run(run())


def test_another_collection_of_the_name_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        one, two = Collection(registry.CONFIGMAPS, "v1"), Collection(registry.CONFIGMAPS, "v1")
        lists = KeptLists()
        write(one, 1, "a/a", 1)
        write(two, 1, "a/b", 1)
        for _ in range(2):
            lists.runs("all", one, partial(everything, one))
        assert lists.runs("all", two, partial(everything, two)) is None
        assert lists.runs("all", two, partial(everything, two)) == [joined(everything(two))]

    asyncio.run(run())


def test_they_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_lists, "_MOST", 300_000)
    monkeypatch.setattr(kept_lists, "_REMEMBERED", 0.0)

    async def run() -> None:
        collection, lists = Collection(registry.CONFIGMAPS, "v1"), KeptLists()
        find = partial(everything, collection)
        write(collection, 1, "a/a", 200_000)
        for question in "ab":
            lists.runs(question, collection, find)
            assert lists.runs(question, collection, find) is not None
        assert lists.runs("a", collection, find) is None, "b took its room"
        write(collection, 2, "a/b", 200_000)
        assert lists.runs("b", collection, find) is None, "it is too long now"
        # The sweep that is due comes as soon as others have their turn.
        swept = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, swept.set)
        await swept.wait()
        assert not lists._found

    asyncio.run(run())
