"""Watches: where they begin, what they show in which form, how they go on and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from tests.component.apiserver.world import NAMESPACE, World, collect, config_map, eventually, pod, running

from knarr.api import protobuf, registry
from knarr.apimachinery.types import Object
from knarr.apiserver import watch_cache, watch_stream
from knarr.client.client import MERGE_PATCH
from knarr.component_base.http import Pieces, Request, Response
from knarr.component_base.http_format import parse_query
from knarr.storage.sqlite import SqliteStore

MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


async def ask(world: World, path: str, accept: str = "", user: str = "admin", **headers: str) -> Response:
    """The answer of a GET by somebody with a certificate."""
    path, _, query = path.partition("?")
    request = Request("GET", path, {}, {"accept": accept, **headers}, raw_query=query)
    request.peer = (user, ("system:masters",) if user == "admin" else ())
    parse_query(request)
    return world.api.quick(request) or await world.api.handler(request)


def body(response: Response) -> Any:
    """A complete answer's JSON."""
    assert isinstance(response.body, bytes | Pieces)
    return orjson.loads(bytes(response.body))


async def lines(response: Response, count: int) -> list[tuple[str, Object]]:
    """The first events of a watch."""
    assert not isinstance(response.body, bytes | Pieces), response.body
    found: list[tuple[str, Object]] = []
    async with asyncio.timeout(90), aclosing(_pieces(response.body)) as pieces:
        async for piece in pieces:
            events = [orjson.loads(line) for line in piece.splitlines()]
            found += [(event["type"], event["object"]) for event in events]
            if len(found) >= count:
                break
    return found


async def _pieces(stream: AsyncIterator[bytes]) -> Any:
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            yield piece


async def change(world: World, name: str, value: str) -> None:
    """Change a ConfigMap."""
    await world.client().patch(registry.CONFIGMAPS, name, {"data": {"k": value}}, NAMESPACE, content_type=MERGE_PATCH)


def versions(events: list[tuple[str, Object]]) -> list[int]:
    """The versions of a watch's events."""
    return [int(obj["metadata"]["resourceVersion"]) for _, obj in events]


def test_watches_that_begin_at_any_event_see_the_rest_in_the_same_order(tmp_path: Path) -> None:
    """Conformance: watchers should receive events on concurrent watches in same order."""

    async def main() -> None:
        async with running(tmp_path) as world:
            begin = world.api.ctx.cache.revision
            client = world.client()

            async def write(number: int) -> None:
                await client.create(registry.CONFIGMAPS, config_map(f"c{number}"), NAMESPACE)
                await change(world, f"c{number}", "1")
                if number % 2:
                    await client.delete(registry.CONFIGMAPS, f"c{number}", NAMESPACE)

            watching_all = asyncio.ensure_future(collect(client, registry.CONFIGMAPS, 25, resourceVersion=str(begin)))
            await asyncio.gather(*(write(number) for number in range(10)))
            first = await watching_all
            assert versions(first) == sorted(versions(first))
            others = await asyncio.gather(
                *(
                    collect(client, registry.CONFIGMAPS, 24 - place, resourceVersion=str(version))
                    for place, version in enumerate(versions(first)[:-1])
                )
            )
            assert [versions(other) for other in others] == [versions(first)[place + 1 :] for place in range(24)]

    asyncio.run(main())


def test_a_closed_watch_goes_on_where_it_was(tmp_path: Path) -> None:
    """Conformance: watchers should be able to restart watching from the last resource version observed."""

    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            begin = str(world.api.ctx.cache.revision)
            await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            await change(world, "a", "1")
            seen = await collect(client, registry.CONFIGMAPS, 2, resourceVersion=begin)
            await change(world, "a", "2")
            await client.delete(registry.CONFIGMAPS, "a", NAMESPACE)
            last = seen[-1][1]["metadata"]["resourceVersion"]
            after = await collect(client, registry.CONFIGMAPS, 2, resourceVersion=last)
            assert [(kind, obj["data"]["k"]) for kind, obj in after] == [("MODIFIED", "2"), ("DELETED", "2")]

    asyncio.run(main())


def test_a_watch_that_begins_long_ago_reads_history_and_goes_on_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_cache, "KEPT_CHANGES", 4)

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "state.db")
        async with running(tmp_path, store) as world:
            collection = world.api.ctx.cache.collection(registry.CONFIGMAPS)
            begin = world.api.ctx.cache.revision
            await world.client().create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            for number in range(20):
                await change(world, "a", str(number + 1))
            # A cache that remembers four changes only.
            collection.kept_since = world.api.ctx.cache.revision - 4
            response = await ask(world, f"{MAPS}?watch=1&resourceVersion={begin}&timeoutSeconds=60")
            watched = asyncio.ensure_future(lines(response, 23))
            await asyncio.sleep(0.1)
            await change(world, "a", "x")
            await change(world, "a", "y")
            events = await watched
            assert versions(events) == list(range(begin + 1, begin + 24))
            assert [obj["data"]["k"] for _, obj in events[-2:]] == ["x", "y"]

    asyncio.run(main())


def test_bookmarks_come_in_time_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_stream, "BOOKMARK", 0.2)

    async def main() -> None:
        async with running(tmp_path) as world:
            await world.client().create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            begin = world.api.ctx.cache.revision
            # What happens elsewhere moves the bookmark on, too.
            await world.client().create(registry.PODS, pod("p"), NAMESPACE)
            for accept, kind in (("", "ConfigMap"), (PARTIAL, "PartialObjectMetadata"), (TABLE, "Table")):
                path = f"{MAPS}?watch=1&resourceVersion={begin}&timeoutSeconds=1&allowWatchBookmarks=true"
                events = await lines(await ask(world, path, accept), 1000)
                assert len(events) >= 2
                assert {(event, obj["kind"]) for event, obj in events} == {("BOOKMARK", kind)}
                assert versions(events)[-1] == world.api.ctx.cache.revision > begin

    asyncio.run(main())


def test_tables_and_metadata_are_watched_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            begin = world.api.ctx.cache.revision
            await world.client().create(registry.CONFIGMAPS, config_map("a", x="1"), NAMESPACE)
            patch = {"metadata": {"labels": {"x": "2"}}}
            await world.client().patch(registry.CONFIGMAPS, "a", patch, NAMESPACE, content_type=MERGE_PATCH)
            path = f"{MAPS}?watch=1&resourceVersion={begin}&labelSelector=x%3D1"
            tables = await lines(await ask(world, path, TABLE), 2)
            assert [kind for kind, _ in tables] == ["ADDED", "DELETED"]
            assert tables[0][1]["columnDefinitions"] and tables[1][1]["columnDefinitions"] is None
            assert [table["rows"][0]["cells"][:2] for _, table in tables] == [["a", 1], ["a", 1]]
            partial = await lines(await ask(world, path, PARTIAL), 2)
            assert [(kind, obj["kind"], "data" in obj) for kind, obj in partial] == [
                ("ADDED", "PartialObjectMetadata", False),
                ("DELETED", "PartialObjectMetadata", False),
            ]
            assert versions(partial) == [begin + 1, begin + 2]

    asyncio.run(main())


def test_protobuf_is_served_and_watched(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            begin = world.api.ctx.cache.revision
            await world.client().create(registry.CONFIGMAPS, config_map("a", x="1"), NAMESPACE)
            listed = await ask(world, f"{MAPS}?resourceVersion=0", PROTOBUF)
            assert listed.content_type == PROTOBUF and isinstance(listed.body, bytes)
            assert decoded(listed.body)["items"][0]["data"] == {"k": "0"}
            missing = await ask(world, f"{MAPS}/none", PROTOBUF)
            assert isinstance(missing.body, bytes) and decoded(missing.body)["reason"] == "NotFound"
            response = await ask(world, f"{MAPS}?watch=1&resourceVersion={begin}&timeoutSeconds=1", PROTOBUF)
            assert response.content_type == f"{PROTOBUF};stream=watch"
            assert not isinstance(response.body, bytes | Pieces)
            frames = b"".join([piece async for piece in response.body])
            size = int.from_bytes(frames[:4], "big")
            assert len(frames) == 4 + size and b"ADDED" in frames
            shown = decoded(frames[frames.index(protobuf.MAGIC) :])
            assert shown["metadata"]["labels"] == {"x": "1"} and shown["metadata"]["resourceVersion"] == str(begin + 1)
            assert (await ask(world, f"{MAPS}?watch=1", "application/yaml")).status == 406

    asyncio.run(main())


def decoded(data: bytes) -> Object:
    """The object of a protobuf body."""
    envelope = protobuf.open_envelope(data)
    return protobuf.decode(envelope.api_version, envelope.kind, envelope.raw)


def test_tables_and_metadata_come_in_yaml_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            await world.client().create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            for form, kind in ((TABLE, "Table"), (PARTIAL, "PartialObjectMetadata")):
                answer = await ask(world, f"{MAPS}/a", form.replace("json", "yaml"))
                assert answer.content_type == "application/yaml" and isinstance(answer.body, bytes)
                assert yaml.safe_load(answer.body)["kind"] == kind

    asyncio.run(main())


def test_a_watcher_that_does_not_read_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_cache, "WATCHER_LIMIT", 10)

    async def main() -> None:
        async with running(tmp_path) as world:
            await world.client().create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            begin = world.api.ctx.cache.revision
            response = await ask(world, f"{MAPS}?watch=1&resourceVersion={begin}")
            for number in range(15):
                await change(world, "a", str(number + 1))
            events = await lines(response, 1000)
            assert versions(events) == list(range(begin + 1, begin + 11))
            assert not world.api.ctx.cache.collection(registry.CONFIGMAPS)._followers

    asyncio.run(main())


def test_a_client_that_leaves_ends_its_watch_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            collection = world.api.ctx.cache.collection(registry.CONFIGMAPS)
            before = len(collection._followers)
            client = world.client()
            await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE)
            await collect(client, registry.CONFIGMAPS, 1)
            await eventually(lambda: len(collection._followers) <= before)

    asyncio.run(main())
