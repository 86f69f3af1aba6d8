"""Both Event APIs through the server: the lifecycles that [sig-instrumentation] conformance goes through."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.component.apiserver.world import NAMESPACE, running

from knarr.api.registry import EVENTS, EVENTS_V1
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, Client

TIME = "2026-01-01T00:00:00.000000Z"
SELECTOR = "testevent-constant=true"


def old_event(name: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {"testevent-constant": "true"}},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": NAMESPACE},
        "reason": "Test",
        "message": "a test event",
        "type": "Normal",
    }


def new_event(name: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {"testevent-constant": "true"}},
        "regarding": {"kind": "Pod", "name": "p", "namespace": NAMESPACE},
        "note": "a test event",
        "reason": "Test",
        "type": "Normal",
        "eventTime": TIME,
        "action": "Do",
        "reportingController": "test-controller",
        "reportingInstance": "test-node",
    }


BOTH = pytest.mark.parametrize(("resource", "make"), [(EVENTS, old_event), (EVENTS_V1, new_event)])


async def listed(client: Client, resource: Resource, namespace: str = "") -> list[str]:
    found = await client.list(resource, namespace, labelSelector=SELECTOR)
    return sorted(item["metadata"]["name"] for item in found["items"])


@BOTH
def test_an_event_is_made_patched_updated_and_deleted(tmp_path: Path, resource: Resource, make: Any) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            await client.create(resource, make("one"), NAMESPACE)
            assert await listed(client, resource) == ["one"]
            first = {"count": 2, "lastObservedTime": "2026-01-02T00:00:00.000000Z"}
            patched = await client.patch(resource, "one", {"series": first}, NAMESPACE, content_type=MERGE_PATCH)
            assert patched["series"] == first
            series = {"count": 100, "lastObservedTime": "2026-01-03T00:00:00.000000Z"}
            await client.update(resource, {**patched, "series": series})
            assert (await client.get(resource, "one", NAMESPACE))["series"] == series
            other = EVENTS if resource is EVENTS_V1 else EVENTS_V1
            shown = await client.get(other, "one", NAMESPACE)
            assert shown["message" if other is EVENTS else "note"] == "a test event"
            await client.delete(resource, "one", NAMESPACE)
            assert await listed(client, resource) == []

    asyncio.run(main())


@BOTH
def test_a_collection_of_events_is_deleted_by_its_labels(tmp_path: Path, resource: Resource, make: Any) -> None:
    async def main() -> None:
        async with running(tmp_path) as world:
            client = world.client()
            for name in ("one", "two", "three"):
                await client.create(resource, make(name), NAMESPACE)
            other = make("other")
            other["metadata"]["labels"] = {}
            await client.create(resource, other, NAMESPACE)
            assert await listed(client, resource, NAMESPACE) == ["one", "three", "two"]
            path, query = resource.path(NAMESPACE), {"labelSelector": SELECTOR}
            assert (await client.transport.request("DELETE", path, query)).status == 200
            assert await listed(client, resource) == []
            assert (await client.get(resource, "other", NAMESPACE))["reason"] == "Test"

    asyncio.run(main())
