"""Lists and watches: what a reader sees while others write."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, collect, config_map, eventually, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.client.client import MERGE_PATCH
from knarr.storage.sqlite import SqliteStore


def test_a_watch_sees_every_change_once_and_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            begin = str(world.api.ctx.cache.revision)
            watching = asyncio.ensure_future(collect(client, registry.CONFIGMAPS, 60, resourceVersion=begin))

            async def life(number: int) -> None:
                name = f"c{number}"
                await client.create(registry.CONFIGMAPS, config_map(name), NAMESPACE)
                await client.patch(registry.CONFIGMAPS, name, {"data": {"k": "1"}}, NAMESPACE, content_type=MERGE_PATCH)
                await client.delete(registry.CONFIGMAPS, name, NAMESPACE)

            await asyncio.gather(*(life(number) for number in range(20)))
            events = await watching
            versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in events]
            assert versions == sorted(set(versions))
            for number in range(20):
                seen = [kind for kind, obj in events if obj["metadata"]["name"] == f"c{number}"]
                assert seen == ["ADDED", "MODIFIED", "DELETED"]
            # Whoever comes later and begins at the same version is told the same.
            assert await collect(client, registry.CONFIGMAPS, 60, resourceVersion=begin) == events

    asyncio.run(main())


def test_a_watch_that_is_read_slowly_gets_everything_in_order(tmp_path: Path) -> None:
    """More than the sockets and buffers between server and client hold."""

    async def main() -> None:
        async with running(tmp_path) as world:
            client, count = world.client(), 100
            await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            begin = str(world.api.ctx.cache.revision)
            async with aclosing(client.watch(registry.CONFIGMAPS, NAMESPACE, resourceVersion=begin)) as events:
                for number in range(count):
                    patch = {"data": {"n": str(number), "much": str(number % 10) * 200_000}}
                    await client.patch(registry.CONFIGMAPS, "a", patch, NAMESPACE, content_type=MERGE_PATCH)
                    if not number:
                        assert (await anext(events)).object["data"]["n"] == "0"
                seen = [(await anext(events)).object["data"]["n"] for _ in range(1, count)]
            assert seen == [str(number) for number in range(1, count)]

    asyncio.run(main())


def test_a_selecting_watch_sees_objects_come_and_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            begin = str(world.api.ctx.cache.revision)
            await client.create(registry.CONFIGMAPS, config_map("a", x="1"), NAMESPACE)
            for value in ("2", "1", "1", None):
                patch = {"metadata": {"labels": {"x": value}, "annotations": {"v": str(value)}}}
                await client.patch(registry.CONFIGMAPS, "a", patch, NAMESPACE, content_type=MERGE_PATCH)
            found = await collect(client, registry.CONFIGMAPS, 4, resourceVersion=begin, labelSelector="x=1")
            assert [kind for kind, _ in found] == ["ADDED", "DELETED", "ADDED", "DELETED"]
            assert found[1][1]["metadata"]["labels"] == {"x": "1"}

    asyncio.run(main())


def test_pages_show_the_state_of_the_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            for number in range(9):
                await client.create(registry.CONFIGMAPS, config_map(f"c{number}"), NAMESPACE)
            page = await client.list(registry.CONFIGMAPS, NAMESPACE, limit="4")
            assert page["metadata"]["remainingItemCount"] == 5
            await client.delete(registry.CONFIGMAPS, "c7", NAMESPACE)
            await client.create(registry.CONFIGMAPS, config_map("c55"), NAMESPACE)
            names = [item["metadata"]["name"] for item in page["items"]]
            while token := page["metadata"].get("continue"):
                page = await client.list(registry.CONFIGMAPS, NAMESPACE, limit="4", **{"continue": token})
                names += [item["metadata"]["name"] for item in page["items"]]
            assert names == [f"c{number}" for number in range(9)]

    asyncio.run(main())


def test_a_restarted_server_goes_on_where_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path, await SqliteStore.open(tmp_path / "state.db")) as world:
            client = world.client()
            made = await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            await client.create(registry.CONFIGMAPS, config_map("b"), NAMESPACE)
            await client.delete(registry.CONFIGMAPS, "b", NAMESPACE)
            service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
            address = (await client.create(registry.SERVICES, service, NAMESPACE))["spec"]["clusterIP"]
            reader = world.api.ctx.reader
            await eventually(lambda: reader.get("ipaddresses", "networking.k8s.io", "", address) is not None)
            revision = world.api.ctx.cache.revision
        async with running(tmp_path, await SqliteStore.open(tmp_path / "state.db")) as world:
            client = world.client()
            assert await client.get(registry.CONFIGMAPS, "a", NAMESPACE) == made
            # Nothing of what every cluster has is written again.
            assert world.api.ctx.cache.revision == revision
            since = made["metadata"]["resourceVersion"]
            events = await collect(client, registry.CONFIGMAPS, 2, resourceVersion=since)
            assert [(kind, obj["metadata"]["name"]) for kind, obj in events] == [("ADDED", "b"), ("DELETED", "b")]
            taken = {"metadata": {"name": "t"}, "spec": {"clusterIP": address, "ports": [{"port": 80}]}}
            with pytest.raises(StatusError, match="already allocated"):
                await client.create(registry.SERVICES, taken, NAMESPACE)

    asyncio.run(main())


def test_what_is_compacted_is_expired(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            made = await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            for number in range(3):
                await client.create(registry.CONFIGMAPS, config_map(f"b{number}"), NAMESPACE)
            await world.api.ctx.store.compact(await world.api.ctx.store.revision())
            old = made["metadata"]["resourceVersion"]
            with pytest.raises(StatusError) as caught:
                await client.list(registry.CONFIGMAPS, NAMESPACE, resourceVersion=old, resourceVersionMatch="Exact")
            assert (caught.value.code, caught.value.reason) == (410, "Expired")

    asyncio.run(main())


def test_initial_events_end_with_a_bookmark(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            for number in range(3):
                await client.create(registry.CONFIGMAPS, config_map(f"c{number}"), NAMESPACE)
            options = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "1"}
            events = await collect(client, registry.CONFIGMAPS, 4, **options)
            assert [kind for kind, _ in events] == ["ADDED", "ADDED", "ADDED", "BOOKMARK"]
            assert events[-1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    asyncio.run(main())
