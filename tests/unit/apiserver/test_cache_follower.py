"""A watch cache that follows a store through breaks, and through a compaction of what it has not seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest

from knarr.api import registry
from knarr.apiserver import cache_follower
from knarr.apiserver.cache_follower import Following
from knarr.apiserver.watch_cache import Change, Collection, WatchCache, Watcher
from knarr.storage.memory import MemoryStore
from knarr.storage.store import Event, KeyValue, Page, StoreError, StoreUnavailableError

PREFIX = "/registry/configmaps/default/"


class Remote(MemoryStore):
    """A store that somebody else writes to, and that can be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.hangs = False

    async def revision(self) -> int:
        if self.away:
            raise StoreUnavailableError("away")
        if self.hangs:
            await asyncio.Event().wait()
        return await super().revision()

    async def watch(self, prefix: str, after: int) -> AsyncIterator[Sequence[Event]]:
        async for batch in super().watch(prefix, after):
            if self.away:
                raise StoreUnavailableError("away")
            yield batch


def value(text: str) -> bytes:
    return b'{"metadata":{"name":"x","namespace":"default"},"data":{"k":"%b"},"kind":"ConfigMap","apiVersion":"v1"}' % (
        text.encode()
    )


class Scene:
    """A store, a cache of its ConfigMaps, and what a listener and a watcher of the cache see."""

    def __init__(self) -> None:
        self.store = Remote()
        self.cache = WatchCache()
        self.collection = self.cache.add(registry.CONFIGMAPS, "v1")
        self.heard: list[tuple[str, bool, int]] = []
        self.cache.listen(self._hear)
        self.following = Following(self.store, self.cache)
        self.watcher: Watcher = self.collection.watch(PREFIX)

    def _hear(self, _: Collection, change: Change) -> None:
        name = change.entry.key.removeprefix(PREFIX)
        self.heard.append((name, change.deleted, change.entry.revision))

    def state(self) -> dict[str, int]:
        return {entry.key.removeprefix(PREFIX): entry.revision for entry in self.collection.range(PREFIX)}


async def follow_to(scene: Scene, revision: int) -> None:
    """Run the follower until the cache has passed a revision."""
    task = asyncio.ensure_future(scene.following.run())
    assert await scene.cache.reached(revision, 5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_a_break_is_told_and_nothing_is_missed() -> None:
    async def main() -> None:
        scene = Scene()
        one = await scene.store.create(PREFIX + "a", value("1"))
        await scene.following.load()
        scene.store.away = True
        two = await scene.store.update(PREFIX + "a", value("2"), one)
        with pytest.raises(StoreUnavailableError):
            await scene.following.run()
        assert scene.following.broken
        scene.store.away = False
        # A key that is not the API's makes the cache current too.
        last = await scene.store.create("compact_rev_key", b"7")
        await follow_to(scene, last)
        assert not scene.following.broken
        assert scene.heard == [("a", False, two)]
        assert not scene.watcher.cut

    asyncio.run(main())


def test_a_store_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_follower, "_ANSWER", 0.02)

    async def main() -> None:
        scene = Scene()
        await scene.following.load()
        for hangs in (False, True, False):
            scene.store.hangs = hangs
            await scene.following.ask()
            assert scene.following.broken == hangs
        scene.store.away = True
        await scene.following.ask()
        assert scene.following.broken

    asyncio.run(main())


def test_what_was_compacted_unseen_is_read_anew_and_watchers_are_cut() -> None:
    async def main() -> None:
        scene = Scene()
        kept, gone, changed = [await scene.store.create(PREFIX + name, value("1")) for name in "abc"]
        await scene.following.load()
        await scene.store.delete(PREFIX + "b", gone)
        newer = await scene.store.update(PREFIX + "c", value("2"), changed)
        new = await scene.store.create(PREFIX + "d", value("1"))
        await scene.store.compact(new)
        await scene.following.run()
        assert scene.state() == {"a": kept, "c": newer, "d": new}
        assert scene.heard == [("b", True, new), ("c", False, newer), ("d", False, new)]
        assert scene.watcher.cut
        # Who comes back for what lies before gets it from the store's history, or 410.
        assert scene.collection.kept_since == new
        later = await scene.store.create(PREFIX + "e", value("1"))
        await follow_to(scene, later)
        assert scene.state() == {"a": kept, "c": newer, "d": new, "e": later}

    asyncio.run(main())


def test_values_of_another_form_are_refused_clearly() -> None:
    scene = Scene()
    page = Page([KeyValue(PREFIX + "a", b"k8s\0\n\x0f", 1, 1)], 1, 0)
    with pytest.raises(StoreError, match="configmaps/default/a is protobuf"):
        scene.cache.load(page.items, page.revision)


def test_keys_outside_the_registry_are_nobodys() -> None:
    scene = Scene()
    scene.cache.load([KeyValue("/other/configmaps/default/a", b"no JSON", 1, 1)], 1)
    assert scene.state() == {}
