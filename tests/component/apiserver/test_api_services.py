"""The condition of APIServices follows what they stand on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.component.apiserver.world import NAMESPACE, running

from knarr.api.registry import APISERVICES, SERVICES
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
    async with asyncio.timeout(10):
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
