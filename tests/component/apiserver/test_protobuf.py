"""Answers in protobuf, from the messages that are kept: objects, lists, watches, metadata."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, World, config_map, running

from knarr.api import protobuf, registry
from knarr.apimachinery.types import Object
from knarr.apiserver.messages import Messages
from knarr.apiserver.watch_cache import Entry
from knarr.component_base.http import Request

_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_MEDIA = "application/vnd.kubernetes.protobuf"
_PARTIAL = f"{_MEDIA};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


async def _ask(world: World, path: str, accept: str = _MEDIA, **query: str) -> tuple[int, bytes]:
    request = Request("GET", path, query, {"accept": accept})
    request.peer = ("admin", ("system:masters",))
    answer = await world.api.handler(request)
    return answer.status, bytes(answer.body)  # type: ignore[arg-type]


def _decoded(body: bytes) -> Object:
    found = protobuf.open_envelope(body)
    return protobuf.decode(found.api_version, found.kind, found.raw)


def test_objects_and_lists_are_what_json_says(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            for name in ("one", "two"):
                await client.create(registry.CONFIGMAPS, config_map(name, a="b"), NAMESPACE)
            for _ in range(2):
                status, body = await _ask(world, f"{_MAPS}/one")
                assert status == 200
                assert _decoded(body) == await client.get(registry.CONFIGMAPS, "one", NAMESPACE)
                _, body = await _ask(world, _MAPS)
                listed, wanted = _decoded(body), await client.list(registry.CONFIGMAPS, NAMESPACE)
                assert listed["kind"] == "ConfigMapList"
                assert listed["metadata"]["resourceVersion"] == wanted["metadata"]["resourceVersion"]
                assert listed["items"] == [_without_type(item) for item in wanted["items"]]
                # The second time round they come from what is kept, and a change is seen.
                one = await client.get(registry.CONFIGMAPS, "one", NAMESPACE)
                await client.update(registry.CONFIGMAPS, {**one, "data": {"k": one["data"]["k"] + "1"}})

    asyncio.run(story())


def _without_type(item: Object) -> Object:
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}


def test_metadata_alone_and_pages(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            for name in ("one", "two"):
                await client.create(registry.CONFIGMAPS, config_map(name), NAMESPACE)
            _, body = await _ask(world, f"{_MAPS}/one", _PARTIAL)
            found = _decoded(body)
            assert found["kind"] == "PartialObjectMetadata" and found["metadata"]["name"] == "one"
            _, body = await _ask(world, _MAPS, limit="1")
            page = _decoded(body)
            assert len(page["items"]) == 1 and page["metadata"]["continue"]
            assert page["metadata"]["remainingItemCount"] == 1 + (await _count(world)) - 2

    asyncio.run(story())


async def _count(world: World) -> int:
    return len((await world.client().list(registry.CONFIGMAPS, NAMESPACE))["items"])


def test_a_watch_shows_them_as_frames(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            await world.client().create(registry.CONFIGMAPS, config_map("one"), NAMESPACE)
            request = Request("GET", _MAPS, {"watch": "1", "fieldSelector": "metadata.name=one"}, {"accept": _MEDIA})
            request.peer = ("admin", ("system:masters",))
            answer = await world.api.handler(request)
            assert answer.content_type == f"{_MEDIA};stream=watch"
            assert not isinstance(answer.body, bytes)
            stream = answer.body.__aiter__()  # type: ignore[union-attr]
            chunk = await anext(stream)
            assert int.from_bytes(chunk[:4], "big") == len(chunk) - 4
            assert b"ADDED" in chunk and protobuf.MAGIC in chunk and b"one" in chunk
            await stream.aclose()  # type: ignore[union-attr]

    asyncio.run(story())


def test_cbor_is_no_encoding_of_this_version(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as world:
            status, _ = await _ask(world, _MAPS, "application/cbor")
            assert status == 406
            request = Request("POST", _MAPS, {}, {"content-type": "application/cbor"}, b"\xd9\xd9\xf7\xa0")
            request.peer = ("admin", ("system:masters",))
            assert (await world.api.handler(request)).status == 415

    asyncio.run(story())


@pytest.mark.parametrize("limit", [10, 25, 1000])
def test_kept_messages_are_bounded(limit: int) -> None:
    kept, made = Messages(limit), 0

    def make() -> bytes:
        nonlocal made
        made += 1
        return b"x" * 10

    for revision in (1, 1, 2):
        for key in ("a", "b", "c"):
            assert kept.of(Entry(key, revision, b"", None), make) == b"x" * 10
    assert made == (6 if limit == 1000 else 9)
