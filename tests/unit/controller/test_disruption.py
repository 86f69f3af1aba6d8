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
        assert status(world)["conditions"][0]["message"] == 'no matches for kind "Thing" in version "example.com/v1"'

    run(story, CONTROLLERS)


THING = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "t", "uid": "u", "controller": True}


def serve(world: World, *names: str) -> None:
    world.api.documents["/apis/example.com/v1"] = {"resources": [{"name": name, "kind": "Thing"} for name in names]}


def test_the_size_of_a_custom_workload_is_what_its_scale_tells() -> None:
    async def story(world: World) -> None:
        serve(world, "things", "things/scale")
        scale = {"metadata": {"name": "t", "uid": "u"}, "spec": {"replicas": 4}}
        world.api.documents["/apis/example.com/v1/namespaces/n/things/t/scale"] = scale
        for name in "abcd":
            world.api.put(PODS, pod(name, THING))
        budget(world, maxUnavailable="25%")
        await world.settle()
        assert counts(world) == (1, 4, 3, 4)

    run(story, CONTROLLERS)


def test_a_workload_without_a_scale_cannot_be_counted() -> None:
    async def story(world: World) -> None:
        serve(world, "things")
        world.api.put(PODS, pod("a", THING))
        budget(world, minAvailable="50%")
        await world.settle()
        (condition,) = status(world)["conditions"]
        assert condition["message"] == "things.example.com does not implement the scale subresource"

    world = run(story, CONTROLLERS)
    assert (
        "Warning CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: "
        "things.example.com does not implement the scale subresource" in world.notes.messages()
    )


def test_pods_that_belong_to_nothing_are_told_of() -> None:
    async def story(world: World) -> None:
        world.api.put(PODS, pod("a"))
        budget(world, maxUnavailable=1)

    (told,) = (note for note in run(story, CONTROLLERS).notes.messages() if "UnmanagedPods" in note)
    shown = "&LabelSelector{MatchLabels:map[string]string{app: x,},MatchExpressions:[]LabelSelectorRequirement{},}"
    assert told.startswith(f"Warning UnmanagedPods: Pods selected by this PodDisruptionBudget (selector: {shown}) were")


@pytest.mark.parametrize(
    ("reason", "deleted", "after"),
    [("EvictionByEvictionAPI", False, "False"), ("TerminationByKubelet", False, "True"), ("x", True, "True")],
)
def test_an_announced_disruption_that_does_not_come_is_taken_back(reason: str, deleted: bool, after: str) -> None:  # noqa: FBT001
    async def story(world: World) -> None:
        now = timestamps.seconds(world.clock.now())
        told = {"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": now}
        made = pod("a")
        made["status"] = {"phase": "Running", "conditions": [told]}
        if deleted:
            made["metadata"]["deletionTimestamp"] = now
        world.api.put(PODS, made)
        await world.advance(119, 17)
        assert not world.api.requests
        await world.advance(2)
        (condition,) = world.api.get(PODS, "n", "a")["status"]["conditions"]
        assert condition["status"] == after

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


def test_pods_of_two_budgets_are_told_of_once() -> None:
    async def story(world: World) -> None:
        world.api.put(PODS, pod("a"))
        for name in ("b", "c"):
            selector = {"matchLabels": {"app": "x"}}
            spec = {"selector": selector, "minAvailable": 1}
            world.api.create(PODDISRUPTIONBUDGETS, {"metadata": {"name": name, "namespace": "n"}, "spec": spec})

    assert [note for note in run(story, CONTROLLERS).notes.messages() if "Multiple" in note] == [
        'Warning MultiplePodDisruptionBudgets: Pod "n"/"a" matches multiple PodDisruptionBudgets.  '
        'Chose "b" arbitrarily.'
    ]
