"""Sets that cannot work, or that ask for too much, cost a bounded number of requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.fakes.api import FakeApi, FakeInformers
from tests.fakes.world import SeededNames, World, run

from knarr.api.registry import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS, PVCS, STATEFULSETS
from knarr.api.resources import Resource
from knarr.apimachinery import errors, timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.clock import FakeClock
from knarr.controller import daemonset, statefulset
from knarr.controller_runtime.changes import Context, Create
from knarr.controller_runtime.snapshot import Key

#: What 200 seconds of back-off (5 ms, doubled each time) allow, and some room for statuses and revisions.
_FEW = 30
_LABELS = {"app": "s"}


def make(resource: Resource, **spec: Any) -> Object:
    container = {"name": "c", "image": "nginx:1"}
    template = {"metadata": {"labels": _LABELS}, "spec": {"containers": [container]}}
    given = {"selector": {"matchLabels": _LABELS}, "template": template, "revisionHistoryLimit": 10, **spec}
    return {"kind": resource.kind, "metadata": {"name": "s", "namespace": "default"}, "spec": given}


def refusing(path: str) -> Callable[[str, str], None]:
    def before(method: str, asked: str) -> None:
        if method == "POST" and asked.endswith(path):
            raise errors.invalid("Pod", "", "s", [])

    return before


def controllers(resource: Resource) -> tuple[Any, ...]:
    return (statefulset.CONTROLLER,) if resource is STATEFULSETS else (daemonset.controller(),)


@pytest.mark.parametrize("resource", [STATEFULSETS, DAEMONSETS])
def test_a_template_that_is_refused_is_tried_less_and_less(resource: Resource) -> None:
    async def story(world: World) -> None:
        world.transport.before = refusing("/pods")
        for name in "abc":
            world.api.put(NODES, {"metadata": {"name": name}, "spec": {}})
        world.api.create(resource, make(resource, replicas=3))
        await world.advance(200)
        assert len(world.api.requests) < _FEW

    world = run(story, controllers(resource))
    assert sum(note.reason == "FailedCreate" for note in world.notes.taken) > 5


def test_claims_that_are_refused_are_tried_less_and_less() -> None:
    async def story(world: World) -> None:
        world.transport.before = refusing("/persistentvolumeclaims")
        claim = {"metadata": {"name": "data"}, "spec": {}}
        world.api.create(STATEFULSETS, make(STATEFULSETS, replicas=3, volumeClaimTemplates=[claim]))
        await world.advance(200)
        assert len(world.api.requests) < _FEW
        assert not world.api.list(PODS)

    world = run(story, controllers(STATEFULSETS))
    told = set(world.notes.messages())
    assert any(text.startswith("Warning FailedCreate: create Claim data-s-0 for Pod s-0") for text in told)
    assert any("failed error: failed to create PVC data-s-0:" in text for text in told)


@pytest.mark.parametrize("resource", [STATEFULSETS, DAEMONSETS])
def test_ten_thousand_labels_are_no_more_work_than_one(resource: Resource) -> None:
    async def story(world: World) -> None:
        many = {f"l{number}": "v" for number in range(10_000)}
        made = make(resource, replicas=1, podManagementPolicy="Parallel")
        made["spec"]["template"]["metadata"]["labels"] = {**many, **_LABELS}
        made["spec"]["selector"] = {"matchLabels": {**many, **_LABELS}}
        world.api.put(NODES, {"metadata": {"name": "n"}, "spec": {}})
        world.api.create(resource, made)
        await world.advance(30)
        assert len(world.api.list(PODS)) == 1
        assert len(world.api.requests) < _FEW

    run(story, controllers(resource))


@pytest.mark.parametrize("resource", [STATEFULSETS, DAEMONSETS])
def test_a_revision_that_takes_no_change_holds_nothing_up(resource: Resource) -> None:
    """Such are those whose data a user has written with blanks."""

    async def story(world: World) -> None:
        def before(method: str, path: str) -> None:
            if method in ("PUT", "PATCH") and path.endswith("/controllerrevisions/by-hand"):
                raise errors.invalid("ControllerRevision", "apps", "by-hand", [])

        world.transport.before = before
        meta = {"name": "by-hand", "namespace": "default", "labels": _LABELS}
        world.api.create(CONTROLLERREVISIONS, {"metadata": meta, "data": {"spec": {}}, "revision": 7})
        world.api.put(NODES, {"metadata": {"name": "n"}, "spec": {}})
        world.api.create(resource, make(resource, replicas=1, minReadySeconds=20))
        await world.settle()
        (pod,) = world.api.list(PODS)
        since = timestamps.seconds(world.clock.now())
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
        world.api.set_status(PODS, "default", pod["metadata"]["name"], phase="Running", conditions=ready)
        await world.advance(25)
        status = world.api.get(resource, "default", "s")["status"]
        assert (status.get("availableReplicas"), status.get("numberAvailable")).count(1) == 1
        await world.advance(200)
        assert len(world.api.requests) < 2 * _FEW

    run(story, controllers(resource))


def test_two_sets_that_select_the_same_pods_leave_each_other_alone() -> None:
    async def story(world: World) -> None:
        for name in ("one", "two"):
            made = make(STATEFULSETS, replicas=2, podManagementPolicy="Parallel")
            made["metadata"]["name"] = name
            world.api.create(STATEFULSETS, made)
        await world.advance(60)
        assert sorted(pod["metadata"]["name"] for pod in world.api.list(PODS)) == ["one-0", "one-1", "two-0", "two-1"]
        assert len(world.api.requests) < _FEW

    run(story, controllers(STATEFULSETS))


@pytest.mark.parametrize(("policy", "most"), [("OrderedReady", 1), ("Parallel", 500)])
def test_a_round_makes_no_more_pods_than_it_may(policy: str, most: int) -> None:
    api = FakeApi(FakeClock())
    snapshot = FakeInformers(api)
    for resource in (STATEFULSETS, PODS, PVCS, CONTROLLERREVISIONS):
        snapshot.add(resource)
    spec = {"replicas": 2**31 - 1, "podManagementPolicy": policy, "updateStrategy": {"type": "RollingUpdate"}}
    api.create(STATEFULSETS, make(STATEFULSETS, **spec))
    context = Context(api.clock.now(), SeededNames())
    result = statefulset.reconcile(Key(STATEFULSETS, "default", "s"), snapshot, context)
    created = [change for change in result.changes if isinstance(change, Create) and change.resource is PODS]
    assert len(created) == most
