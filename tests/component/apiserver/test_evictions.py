"""Evictions and what budgets say to them, from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.component.apiserver.world import NAMESPACE, pod, running

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, Client

CANNOT = "Cannot evict pod as it would violate the pod's disruption budget."


def told(directory: Path, story: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with running(directory) as world:
            await story(world.client())

    asyncio.run(main())


async def made_pod(client: Client, **status: Any) -> None:
    body = pod("p", nodeName="n")
    body["metadata"]["labels"] = {"app": "x"}
    await client.create(registry.PODS, body, NAMESPACE)
    await patched_status(client, registry.PODS, "p", {"phase": "Running", **status})


async def patched_status(client: Client, resource: Any, name: str, status: Object) -> None:
    body = {"status": status}
    await client.patch(resource, name, body, NAMESPACE, content_type=MERGE_PATCH, subresource="status")


async def made_budget(client: Client, name: str, status: Object, **spec: Any) -> None:
    selector = {"matchLabels": {"app": "x"}}
    body = {"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": selector, **spec}}
    await client.create(registry.PODDISRUPTIONBUDGETS, body, NAMESPACE)
    if status:
        await patched_status(client, registry.PODDISRUPTIONBUDGETS, name, status)


async def evicted(client: Client, **options: Any) -> StatusError | None:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, **options}
    try:
        await client.create(registry.PODS, body, NAMESPACE, name="p", subresource="eviction")
    except StatusError as error:
        return error
    return None


def counted(allowed: int = 0, healthy: int = 1, desired: int = 1) -> Object:
    numbers = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired}
    return {**numbers, "expectedPods": 1, "observedGeneration": 1}


def test_an_evicted_pod_says_why_it_goes(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client)
        assert await evicted(client) is None
        found = await client.get(registry.PODS, "p", NAMESPACE)
        (condition,) = [item for item in found["status"]["conditions"] if item["type"] == "DisruptionTarget"]
        assert (condition["status"], condition["reason"]) == ("True", "EvictionByEvictionAPI")
        assert found["metadata"]["deletionTimestamp"]

    told(tmp_path, story)


def test_a_budget_that_is_spent_says_so_and_what_it_needs(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client, conditions=[{"type": "Ready", "status": "True"}])
        await made_budget(client, "b", counted())
        error = await evicted(client)
        assert error is not None and (error.code, error.message) == (429, CANNOT)
        cause = "The disruption budget b needs 1 healthy pods and has 1 currently"
        assert error.details == {"causes": [{"reason": "DisruptionBudget", "message": cause}]}

    told(tmp_path, story)


def test_a_budget_nobody_has_counted_asks_to_try_again(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client)
        await made_budget(client, "b", {})
        error = await evicted(client)
        assert error is not None and (error.code, error.message) == (429, CANNOT)
        assert error.details is not None and error.details["retryAfterSeconds"] == 10
        assert "still being processed" in error.details["causes"][0]["message"]

    told(tmp_path, story)


def test_who_allows_an_eviction_keeps_account_of_it(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client, conditions=[{"type": "Ready", "status": "True"}])
        await made_budget(client, "b", counted(allowed=1))
        assert await evicted(client, deleteOptions={"dryRun": ["All"]}) is None
        untouched = await client.get(registry.PODDISRUPTIONBUDGETS, "b", NAMESPACE)
        assert untouched["status"]["disruptionsAllowed"] == 1
        assert await evicted(client) is None
        found = await client.get(registry.PODDISRUPTIONBUDGETS, "b", NAMESPACE)
        assert list(found["status"]["disruptedPods"]) == ["p"]
        (condition,) = found["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")
        writers = {entry["manager"]: entry for entry in found["metadata"]["managedFields"]}
        assert writers["kube-apiserver"]["subresource"] == "status"

    told(tmp_path, story)


def test_an_unhealthy_pod_may_go_where_the_policy_allows_it(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client)
        await made_budget(client, "b", counted(healthy=0), unhealthyPodEvictionPolicy="AlwaysAllow")
        assert await evicted(client) is None

    told(tmp_path, story)


def test_two_budgets_are_one_too_many(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client)
        for name in ("a", "b"):
            await made_budget(client, name, counted(allowed=1))
        error = await evicted(client)
        assert error is not None and (error.code, error.reason) == (500, "")
        assert "more than one PodDisruptionBudget" in error.message

    told(tmp_path, story)


def test_options_that_contradict_themselves_are_refused(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client)
        error = await evicted(client, deleteOptions={"propagationPolicy": "Bogus"})
        assert error is not None and error.code == 422

    told(tmp_path, story)


def test_the_beta_version_of_an_eviction_will_do(tmp_path: Path) -> None:
    async def story(client: Client) -> None:
        await made_pod(client)
        assert await evicted(client, apiVersion="policy/v1beta1") is None

    told(tmp_path, story)
