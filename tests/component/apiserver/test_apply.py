"""Server-side apply and managed fields as clients see them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.component.apiserver.world import NAMESPACE, config_map, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import APPLY_PATCH, MERGE_PATCH, Client


async def apply(client: Client, data: Object, **options: str) -> Object:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    return await client.patch(registry.CONFIGMAPS, "a", body, NAMESPACE, content_type=APPLY_PATCH, **options)


def owners(obj: Object) -> dict[str, Any]:
    entries = obj["metadata"].get("managedFields", [])
    return {f"{entry['manager']} {entry['operation']}": entry["fieldsV1"] for entry in entries}


def test_an_apply_creates_shares_and_removes(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await apply(client, {"a": "1", "b": "1"}, fieldManager="one")
            both = await apply(client, {"b": "1", "c": "1"}, fieldManager="two")
            assert owners(both) == {
                "one Apply": {"f:data": {"f:a": {}, "f:b": {}}},
                "two Apply": {"f:data": {"f:b": {}, "f:c": {}}},
            }
            left = await apply(client, {}, fieldManager="one")
            assert left["data"] == {"b": "1", "c": "1"}

    asyncio.run(main())


def test_an_apply_meets_an_update(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE, fieldManager="up")
            with pytest.raises(StatusError) as caught:
                await apply(client, {"k": "other"}, fieldManager="one")
            assert caught.value.reason == "Conflict"
            assert 'conflict with "up" using v1: .data.k' in caught.value.message
            forced = await apply(client, {"k": "other"}, fieldManager="one", force="true")
            assert owners(forced)["one Apply"] == {"f:data": {"f:k": {}}}

    asyncio.run(main())


def test_an_apply_needs_a_manager(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            with pytest.raises(StatusError) as caught:
                await apply(world.client(), {})
            assert caught.value.code == 422

    asyncio.run(main())


def test_applies_that_meet_all_take_effect(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await asyncio.gather(*(apply(client, {f"k{n}": "v"}, fieldManager=f"m{n}") for n in range(15)))
            found = await client.get(registry.CONFIGMAPS, "a", NAMESPACE)
            assert set(found["data"]) == {f"k{n}" for n in range(15)}
            assert len(owners(found)) == 15

    asyncio.run(main())


def test_a_patch_of_nothing_leaves_owners_and_version(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            made = await client.create(registry.CONFIGMAPS, config_map("a"), NAMESPACE, fieldManager="up")
            same = await client.patch(
                registry.CONFIGMAPS, "a", {"data": dict(made["data"])}, NAMESPACE, content_type=MERGE_PATCH
            )
            assert same == made

    asyncio.run(main())
