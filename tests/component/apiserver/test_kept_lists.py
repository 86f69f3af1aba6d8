"""Lists that are asked for again and again are those of now, whatever is kept of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, World, config_map, running

from knarr.api import registry

#: What is asked, and which of a, b and c it shows: before c comes, and when b has changed its label and a is gone.
QUESTIONS: list[tuple[dict[str, str], str, str]] = [
    ({}, "ab", "bc"),
    ({"labelSelector": "l=1"}, "a", "bc"),
    ({"labelSelector": "l!=1"}, "b", ""),
    ({"labelSelector": "l"}, "ab", "bc"),
    ({"labelSelector": "l=1", "fieldSelector": "metadata.name=a"}, "a", ""),
    ({"resourceVersion": "0"}, "ab", "bc"),
    ({"limit": "1"}, "a", "b"),
]


@pytest.mark.parametrize(("options", "before", "after"), QUESTIONS)
def test_they_show_what_is_there_now(tmp_path: Path, options: dict[str, str], before: str, after: str) -> None:
    async def names(world: World) -> str:
        found = []
        for _ in range(3):
            answer = await world.clients[0].list(registry.CONFIGMAPS, NAMESPACE, **options)
            found.append("".join(each["metadata"]["name"] for each in answer["items"]))
        assert len(set(found)) == 1
        return found[0]

    async def main() -> None:
        async with running(tmp_path) as world:
            admin = world.client()
            await admin.create(registry.CONFIGMAPS, config_map("a", l="1"), NAMESPACE)
            await admin.create(registry.CONFIGMAPS, config_map("b", l="2"), NAMESPACE)
            assert await names(world) == before
            await admin.create(registry.CONFIGMAPS, config_map("c", l="1"), NAMESPACE)
            await admin.update(registry.CONFIGMAPS, config_map("b", l="1"))
            await admin.delete(registry.CONFIGMAPS, "a", NAMESPACE)
            assert await names(world) == after

    asyncio.run(main())
