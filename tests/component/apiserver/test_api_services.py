"""The condition of APIServices follows what they stand on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.component.apiserver.test_custom_resources import definition, version
from tests.component.apiserver.world import NAMESPACE, World, eventually, running

from knarr.api.registry import APISERVICES, CUSTOMRESOURCEDEFINITIONS, SERVICES
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client

OTHER: Object = {
    "metadata": {"name": "v1.other.example.com"},
    "spec": {
        "group": "other.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "service": {"namespace": NAMESPACE, "name": "agg"},
    },
}


async def reason(client: Client, name: str, wanted: str) -> Object:
    async with asyncio.timeout(90):
        while True:
            found = await client.get(APISERVICES, name)
            conditions = (found.get("status") or {}).get("conditions") or [{}]
            if conditions[0].get("reason") == wanted:
                return dict(conditions[0])
            await asyncio.sleep(0.01)


def test_a_service_that_comes_and_goes_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            assert (await reason(client, "v1.apps", "Local"))["status"] == "True"
            await client.create(APISERVICES, OTHER)
            missing = await reason(client, "v1.other.example.com", "ServiceNotFound")
            spec = {"ports": [{"port": 443}]}
            await client.create(SERVICES, {"metadata": {"name": "agg"}, "spec": spec}, NAMESPACE)
            found = await reason(client, "v1.other.example.com", "EndpointsNotFound")
            assert found["lastTransitionTime"] == missing["lastTransitionTime"]
            await client.delete(SERVICES, "agg", NAMESPACE)
            await reason(client, "v1.other.example.com", "ServiceNotFound")

    asyncio.run(main())


def has(world: World, name: str) -> bool:
    return world.api.ctx.reader.get("apiservices", "apiregistration.k8s.io", "", name) is not None


def priority(world: World, name: str) -> int:
    found = world.api.ctx.reader.get("apiservices", "apiregistration.k8s.io", "", name)
    return int(found["spec"]["versionPriority"]) if found is not None else 0


def test_versions_of_custom_resources_are_registered_and_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            versions = version(), version("v1beta1", storage=False)
            await client.create(CUSTOMRESOURCEDEFINITIONS, definition(*versions))
            await eventually(lambda: has(world, "v1.example.com") and has(world, "v1beta1.example.com"))
            assert (await reason(client, "v1.example.com", "Local"))["status"] == "True"
            found = await client.get(APISERVICES, "v1.example.com")
            assert found["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
            assert found["spec"]["groupPriorityMinimum"] == 1000 and found["spec"]["versionPriority"] == 100
            # Who deletes one finds another in its place.
            await client.delete(APISERVICES, "v1.example.com")
            await eventually(lambda: has(world, "v1.example.com"))
            assert (await client.get(APISERVICES, "v1.example.com"))["metadata"]["uid"] != found["metadata"]["uid"]
            crd = await client.get(CUSTOMRESOURCEDEFINITIONS, "widgets.example.com")
            crd["spec"]["versions"][1]["served"] = False
            await client.update(CUSTOMRESOURCEDEFINITIONS, crd)
            await eventually(lambda: not has(world, "v1beta1.example.com"))
            await client.delete(CUSTOMRESOURCEDEFINITIONS, "widgets.example.com")
            await eventually(lambda: not has(world, "v1.example.com"))
            with pytest.raises(StatusError):
                await client.get(APISERVICES, "v1.example.com")
            assert has(world, "v1.apps")

    asyncio.run(main())


def test_who_changes_one_has_it_set_right_unless_it_is_his_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client, name = world.client(), "v1.example.com"
            await client.create(CUSTOMRESOURCEDEFINITIONS, definition(version()))
            await eventually(lambda: has(world, name))
            found = await client.get(APISERVICES, name)
            found["spec"]["versionPriority"] = 7
            found = await client.update(APISERVICES, found)
            await eventually(lambda: priority(world, name) == 100)
            found = await client.get(APISERVICES, name)
            labels = found["metadata"].pop("labels")
            found["spec"]["versionPriority"] = 7
            found = await client.update(APISERVICES, found)
            # The worker has looked at it when it has made this one.
            crd = await client.get(CUSTOMRESOURCEDEFINITIONS, "widgets.example.com")
            crd["spec"]["versions"].append(version("v2", storage=False))
            await client.update(CUSTOMRESOURCEDEFINITIONS, crd)
            await eventually(lambda: has(world, "v2.example.com"))
            assert priority(world, name) == 7
            found = await client.get(APISERVICES, name)
            await client.update(APISERVICES, {**found, "metadata": {**found["metadata"], "labels": labels}})
            await eventually(lambda: priority(world, name) == 100)

    asyncio.run(main())
