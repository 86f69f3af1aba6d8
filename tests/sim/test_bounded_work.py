"""Hostile and contradictory objects: what is told of them is Kubernetes' own, and nothing loops hot.

Each story is told to all controllers of workloads at once; then an hour passes in which nothing happens. No object may
have been written more than a few times, and requests come at most as back-off brings them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.fakes.api import Change
from tests.fakes.world import World

from knarr.api.registry import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    NODES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    SECRETS,
    SERVICES,
)
from knarr.apimachinery import errors
from knarr.apimachinery.types import Object
from knarr.controller import (
    deployment,
    disruption,
    endpoint_slice,
    endpoint_slice_mirroring,
    endpoints,
    garbage_collector,
    node_lifecycle,
    pod_gc,
    resource_quota,
    taint_eviction,
)
from knarr.controller.replicas import replicaset, replication_controller
from knarr.controller_runtime.controller import Controller

NS = "default"
#: Writes of one object in an hour in which nothing happens, requests in that hour.
WRITES, REQUESTS = 12, 60


def everything() -> tuple[Controller, ...]:
    collected = (CONFIGMAPS, SECRETS, PODS, REPLICASETS, DEPLOYMENTS, REPLICATIONCONTROLLERS)
    return (
        deployment.CONTROLLER,
        replicaset.CONTROLLER,
        replication_controller.CONTROLLER,
        disruption.CONTROLLER,
        endpoint_slice.CONTROLLER,
        endpoints.CONTROLLER,
        endpoint_slice_mirroring.CONTROLLER,
        node_lifecycle.controller(grace=1e9),
        taint_eviction.CONTROLLER,
        pod_gc.controller(),
        resource_quota.controller((PODS, CONFIGMAPS, SECRETS)),
        garbage_collector.controller(collected),
    )


def named(name: str, labels: Mapping[str, str] | None = None, **parts: Any) -> Object:
    meta = {"name": name, "namespace": NS, "labels": dict(labels or {}), **parts.pop("meta", {})}
    return {"metadata": meta, **parts}


def template(labels: Mapping[str, str]) -> Object:
    return {"metadata": {"labels": dict(labels)}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def workload(name: str, replicas: int, selector: Object, labels: Mapping[str, str]) -> Object:
    return named(name, spec={"replicas": replicas, "selector": selector, "template": template(labels)})


def pod(name: str, labels: Mapping[str, str], ip: str, **meta: Any) -> Object:
    status = {"phase": "Running", "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": "True"}]}
    return named(name, labels, spec={"nodeName": "n", "containers": []}, status=status, meta=meta)


def service(name: str, selector: Mapping[str, str] | None) -> Object:
    ports = [{"port": 80, "protocol": "TCP", "name": ""}]
    return named(
        name, spec={"selector": dict(selector or {}), "ports": ports, "ipFamilies": ["IPv4"], "clusterIP": "10.0.0.1"}
    )


def owner(obj: Object, kind: str, version: str = "v1") -> Object:
    meta = obj["metadata"]
    return {"apiVersion": version, "kind": kind, "name": meta["name"], "uid": meta["uid"], "blockOwnerDeletion": True}


# Stories. What validation refuses, such as a template that its own selector does not match, is not among them.


def selects_everything(world: World) -> None:
    world.api.create(DEPLOYMENTS, workload("all", 3, {}, {"app": "a"}))
    world.api.create(PODDISRUPTIONBUDGETS, named("all", spec={"selector": {}, "maxUnavailable": "10%"}))
    world.api.put(PODS, pod("stray", {"x": "y"}, "10.0.0.1"))


def selects_nothing(world: World) -> None:
    never = {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}
    world.api.create(PODDISRUPTIONBUDGETS, named("none", spec={"selector": never, "minAvailable": "50%"}))
    world.api.create(SERVICES, service("none", {"no": "such"}))


def owners_in_a_circle(world: World) -> None:
    made = [world.api.create(CONFIGMAPS, named(name)) for name in "abc"]
    for at, obj in enumerate(made):
        meta = {**obj["metadata"], "ownerReferences": [owner(made[at - 1], "ConfigMap")]}
        world.api.update(CONFIGMAPS, {**obj, "metadata": meta})
    world.api.delete(CONFIGMAPS, (NS, "a"), {"propagationPolicy": "Foreground"})


def owners_of_unknown_kinds(world: World) -> None:
    strange = {"apiVersion": "no.such/v1", "kind": "Thing", "name": "x", "uid": "u"}
    for number in range(20):
        world.api.create(CONFIGMAPS, named(f"c{number}", meta={"ownerReferences": [strange]}))


def quota_below_use(world: World) -> None:
    def refuse(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/pods"):
            raise errors.forbidden(
                "pods", "", "x", "exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=1"
            )

    world.transport.before = refuse
    for number in range(5):
        world.api.put(PODS, pod(f"p{number}", {"x": "y"}, f"10.0.0.{number}"))
    world.api.create(RESOURCEQUOTAS, named("q", spec={"hard": {"pods": "1"}}))
    world.api.create(REPLICASETS, workload("r", 3, {"matchLabels": {"app": "a"}}, {"app": "a"}))
    world.api.create(DEPLOYMENTS, workload("d", 3, {"matchLabels": {"app": "d"}}, {"app": "d"}))


def ten_thousand_labels(world: World) -> None:
    many = {f"label-{number}": str(number) for number in range(10_000)}
    world.api.put(PODS, pod("p", many, "10.0.0.1"))
    world.api.create(SERVICES, service("s", {"label-1": "1", "label-9999": "9999"}))
    world.api.create(PODDISRUPTIONBUDGETS, named("b", spec={"selector": {"matchLabels": many}, "minAvailable": 1}))
    world.api.create(REPLICASETS, workload("r", 1, {"matchLabels": many}, many))


def two_want_the_same(world: World) -> None:
    for number in range(4):
        world.api.put(PODS, pod(f"p{number}", {"app": "a"}, f"10.0.0.{number}"))
    for name in ("one", "two"):
        world.api.create(REPLICASETS, workload(name, 3, {"matchLabels": {"app": "a"}}, {"app": "a"}))
        world.api.create(DEPLOYMENTS, workload(f"d{name}", 2, {"matchLabels": {"app": "a"}}, {"app": "a"}))
    world.api.create(REPLICATIONCONTROLLERS, workload("rc", 3, {"app": "a"}, {"app": "a"}))


def endpoints_of_two_masters(world: World) -> None:
    world.api.put(PODS, pod("p", {"app": "a"}, "10.0.0.1"))
    world.api.create(SERVICES, service("s", {"app": "a"}))
    subsets = [{"addresses": [{"ip": "10.9.9.9"}], "ports": [{"port": 1, "protocol": "TCP"}]}]
    world.api.create(ENDPOINTS, named("s", subsets=subsets))
    world.api.create(SERVICES, service("manual", None))
    world.api.create(ENDPOINTS, named("manual", subsets=subsets))


def stranded_pods(world: World) -> None:
    world.api.put(PODS, {**pod("p", {}, "10.0.0.1", finalizers=["hold.io/it"]), "spec": {"nodeName": "gone"}})
    taint = {"key": "k", "effect": "NoExecute"}
    world.api.put(NODES, {"metadata": {"name": "t"}, "spec": {"taints": [taint, taint]}, "status": {}})
    world.api.put(PODS, {**pod("q", {}, "10.0.0.2", finalizers=["hold.io/it"]), "spec": {"nodeName": "t"}})


STORIES = (
    selects_everything,
    selects_nothing,
    owners_in_a_circle,
    owners_of_unknown_kinds,
    quota_below_use,
    ten_thousand_labels,
    two_want_the_same,
    endpoints_of_two_masters,
    stranded_pods,
)


class Watcher:
    """Counts how often each object was written."""

    def __init__(self, world: World) -> None:
        self.writes: Counter[tuple[str, str]] = Counter()
        world.api.listeners.append(self.on_change)

    def on_change(self, change: Change) -> None:
        resource, old, new, _ = change
        if old is not None:
            self.writes[resource.plural, (new or old)["metadata"]["name"]] += 1


async def told(story: Callable[[World], None]) -> World:
    world = World(everything())
    ready = [{"type": "Ready", "status": "True"}]
    world.api.put(NODES, {"metadata": {"name": "n"}, "spec": {}, "status": {"conditions": ready}})
    await world.manager.start()
    watcher = Watcher(world)
    story(world)
    for _ in range(30):
        await world.advance(10, step=10)
    # The back-off of what fails again and again has grown by now.
    before = len(world.api.requests)
    for _ in range(60):
        await world.advance(60, step=60)
    assert len(world.api.requests) - before <= REQUESTS
    assert max(watcher.writes.values(), default=0) <= WRITES, watcher.writes.most_common(3)
    await world.close()
    return world


@pytest.mark.parametrize("story", STORIES, ids=lambda story: str(story.__name__))
def test_nothing_loops_hot(story: Callable[[World], None]) -> None:
    asyncio.run(told(story))


def conditions(obj: Object) -> dict[str, str]:
    return {item["type"]: f"{item['status']} {item['reason']}" for item in (obj.get("status") or {})["conditions"]}


def test_selecting_everything_is_told() -> None:
    world = asyncio.run(told(selects_everything))
    everything = "Warning SelectingAll: This deployment is selecting all pods. A non-empty selector is required."
    assert everything in world.notes.messages()
    assert not world.api.list(REPLICASETS)
    assert conditions(world.api.get(PODDISRUPTIONBUDGETS, NS, "all")) == {"DisruptionAllowed": "False InsufficientPods"}


def test_a_quota_below_use_is_told() -> None:
    world = asyncio.run(told(quota_below_use))
    assert conditions(world.api.get(REPLICASETS, NS, "r")) == {"ReplicaFailure": "True FailedCreate"}
    assert conditions(world.api.get(DEPLOYMENTS, NS, "d"))["ReplicaFailure"] == "True FailedCreate"
    assert world.api.get(RESOURCEQUOTAS, NS, "q")["status"] == {"hard": {"pods": "1"}, "used": {"pods": "5"}}


def test_a_circle_of_owners_goes() -> None:
    assert not asyncio.run(told(owners_in_a_circle)).api.list(CONFIGMAPS)
