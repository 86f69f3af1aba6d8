"""Schemas of custom resources at work in a whole server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.component.apiserver.test_custom_resources import NAME, WIDGETS, definition, established, version, widget
from tests.component.apiserver.world import NAMESPACE, eventually, running

from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object

_DEAR = {"rule": "self.all(x, self.all(y, x <= 1000000 || y > x))"}


def _schema(**spec: Any) -> Object:
    fields = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}
    return {"schema": {"openAPIV3Schema": fields}}


def test_objects_are_pruned_filled_and_judged(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            size = {"type": "integer", "minimum": 1, "default": 3}
            await established(world, client, definition(version(**_schema(size=size))))
            made = await client.create(WIDGETS, widget("a", colour="red"), NAMESPACE)
            assert made["spec"] == {"size": 3}
            with pytest.raises(StatusError, match=r"spec\.size in body should be greater than or equal to 1"):
                await client.create(WIDGETS, widget("b", size=0), NAMESPACE)

    asyncio.run(main())


def test_what_a_new_schema_does_not_allow_may_stay_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            text = {"type": "string"}
            await established(world, client, definition(version(**_schema(a=text, b=text))))
            made = await client.create(WIDGETS, widget("a", a="long"), NAMESPACE)
            crd = await client.get(CUSTOMRESOURCEDEFINITIONS, NAME)
            crd["spec"]["versions"][0] |= _schema(a={**text, "maxLength": 2}, b=text)
            before = world.api.ctx.served.get("example.com", "v1", "widgets")
            await client.update(CUSTOMRESOURCEDEFINITIONS, crd)
            await eventually(lambda: world.api.ctx.served.get("example.com", "v1", "widgets") is not before)
            made = await client.update(WIDGETS, {**made, "spec": {"a": "long", "b": "new"}})
            with pytest.raises(StatusError, match=r"spec\.a: Too long"):
                await client.update(WIDGETS, {**made, "spec": {"a": "longer", "b": "new"}})

    asyncio.run(main())


def test_others_are_served_while_dear_rules_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client, other = world.client(), world.client()
            numbers = {"type": "array", "items": {"type": "integer"}, "maxItems": 400}
            dear = {**numbers, "x-kubernetes-validations": [_DEAR]}
            names = [f"n{at}" for at in range(6)]
            await established(world, client, definition(version(**_schema(**dict.fromkeys(names, dear)))))
            many = dict.fromkeys(names, list(range(390)))
            served = 0
            async with asyncio.TaskGroup() as group:
                pending = group.create_task(client.create(WIDGETS, widget("a", **many), NAMESPACE))
                while not pending.done():
                    await other.get(CUSTOMRESOURCEDEFINITIONS, NAME)
                    served += not pending.done()
            assert pending.result()["spec"] == many
            # The first one may have been answered before the dear one came.
            assert served > 1

    asyncio.run(main())
