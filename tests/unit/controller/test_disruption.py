"""What disruption budgets say of their pods."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.world import World, run

from knarr.api.registry import DEPLOYMENTS, PODDISRUPTIONBUDGETS, PODS, REPLICASETS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import disruption

CONTROLLERS = (disruption.CONTROLLER,)
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def owner(kind: str, obj: Object) -> Object:
    meta = obj["metadata"]
    return {"apiVersion": "apps/v1", "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True}


def pod(name: str, *owners: Object, ready: bool = True) -> Object:
    meta = {"name": name, "namespace": "n", "labels": {"app": "x"}, "ownerReferences": list(owners)}
    return {"metadata": meta, "spec": {}, "status": READY if ready else {"phase": "Pending"}}


def budget(world: World, **spec: Any) -> None:
    selector = {"matchLabels": {"app": "x"}}
    body = {"metadata": {"name": "b", "namespace": "n", "generation": 1}, "spec": {"selector": selector, **spec}}
    world.api.create(PODDISRUPTIONBUDGETS, body)


def workload(world: World, replicas: int) -> Object:
    """A ReplicaSet of a Deployment, as the owner of pods."""
    meta = {"name": "d", "namespace": "n"}
    deployment = world.api.create(DEPLOYMENTS, {"metadata": meta, "spec": {"replicas": replicas}})
    above = [owner("Deployment", deployment)]
    body = {"metadata": {"name": "r", "namespace": "n", "ownerReferences": above}, "spec": {"replicas": 1}}
    return owner("ReplicaSet", world.api.create(REPLICASETS, body))


def status(world: World) -> Object:
    found: Object = world.api.get(PODDISRUPTIONBUDGETS, "n", "b")["status"]
    return found


def counts(world: World) -> tuple[int, int, int, int]:
    """Allowed, healthy, desired, expected."""
    found = status(world)
    return found["disruptionsAllowed"], found["currentHealthy"], found["desiredHealthy"], found["expectedPods"]


def verdict(world: World) -> tuple[str, str]:
    (condition,) = status(world)["conditions"]
    return condition["status"], condition["reason"]


def test_a_number_of_available_pods_is_counted_against_the_pods_there_are() -> None:
    async def story(world: World) -> None:
        for name, ready in (("a", True), ("b", True), ("c", False)):
            world.api.put(PODS, pod(name, ready=ready))
        budget(world, minAvailable=1)
        await world.settle()
        assert counts(world) == (1, 2, 1, 3)
        assert verdict(world) == ("True", "SufficientPods")
        assert status(world)["observedGeneration"] == 1

    run(story, CONTROLLERS)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"minAvailable": "50%"}, (0, 2, 3, 5)),
        ({"maxUnavailable": "50%"}, (0, 2, 2, 5)),
        ({"maxUnavailable": 4}, (1, 2, 1, 5)),
        ({"maxUnavailable": 9}, (2, 2, 0, 5)),
    ],
)
def test_shares_are_of_the_replicas_of_the_deployment(spec: Object, wanted: tuple[int, int, int, int]) -> None:
    async def story(world: World) -> None:
        above = workload(world, 5)
        for name in ("a", "b"):
            world.api.put(PODS, pod(name, above))
        budget(world, **spec)
        await world.settle()
        assert counts(world) == wanted

    run(story, CONTROLLERS)


def test_a_budget_without_pods_allows_nothing() -> None:
    async def story(world: World) -> None:
        budget(world, maxUnavailable=1)
        await world.settle()
        assert counts(world) == (0, 0, 0, 0)
        assert verdict(world) == ("False", "InsufficientPods")

    run(story, CONTROLLERS)


def test_nothing_is_allowed_while_an_owner_is_unknown() -> None:
    async def story(world: World) -> None:
        stranger = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t", "uid": "u", "controller": True}
        world.api.put(PODS, pod("a", stranger))
        budget(world, maxUnavailable=1)
        await world.settle()
        assert status(world)["disruptionsAllowed"] == 0
        assert verdict(world) == ("False", "SyncFailed")

    run(story, CONTROLLERS)


def test_an_evicted_pod_does_not_count_until_it_is_late() -> None:
    async def story(world: World) -> None:
        for name in ("a", "b"):
            world.api.put(PODS, pod(name))
        budget(world, minAvailable=1)
        await world.settle()
        spent = world.api.get(PODDISRUPTIONBUDGETS, "n", "b")
        note = {"disruptedPods": {"a": timestamps.seconds(world.clock.now())}, "disruptionsAllowed": 0}
        world.api.update(PODDISRUPTIONBUDGETS, {**spent, "status": {**spent["status"], **note}}, "status")
        await world.settle()
        assert counts(world) == (0, 1, 1, 2)
        assert "a" in status(world)["disruptedPods"]
        await world.advance(130)
        assert counts(world) == (1, 2, 1, 2)
        assert "disruptedPods" not in status(world)

    run(story, CONTROLLERS)
