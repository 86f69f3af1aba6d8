"""EndpointSlices."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.world import World, run

from knarr.api.registry import ENDPOINTSLICES, NODES, PODS, SERVICES
from knarr.api.semantics import slice_plan
from knarr.apimachinery.types import Object
from knarr.controller import endpoint_slice

ONE = (endpoint_slice.CONTROLLER,)


def service(name: str = "svc", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]
    given_spec = {"selector": {"app": "a"}, "clusterIP": "10.43.0.9", "ports": ports, "ipFamilies": ["IPv4"], **spec}
    return {"metadata": {"name": name, "namespace": "default", "labels": {"team": "x"}}, "spec": given_spec}


def pod(name: str, ip: str, *, ready: bool = True, node: str = "n", **spec: Any) -> Object:
    ports = [{"name": "web", "containerPort": 8080, "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "a"}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": ports}], **spec},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": ip}] if ip else [],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def start(world: World) -> None:
    world.api.put(NODES, {"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z"}}})


def endpoints(world: World) -> list[Object]:
    return [endpoint for item in world.api.list(ENDPOINTSLICES) for endpoint in item["endpoints"]]


def test_a_service_has_a_slice_with_its_pods() -> None:
    async def story(world: World) -> None:
        start(world)
        world.api.put(PODS, pod("p", "10.42.0.2"))
        world.api.put(PODS, pod("q", "10.42.0.3", ready=False))
        world.api.put(PODS, pod("waiting", ""))
        world.api.put(SERVICES, service())
        await world.settle()
        (item,) = world.api.list(ENDPOINTSLICES)
        assert item["addressType"] == "IPv4"
        assert item["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
        assert item["metadata"]["generateName"] == "svc-"
        assert item["metadata"]["ownerReferences"][0]["kind"] == "Service"
        assert item["metadata"]["labels"] == {
            "team": "x",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "kubernetes.io/service-name": "svc",
        }
        first, second = item["endpoints"]
        assert first == {
            "addresses": ["10.42.0.2"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "n",
            "targetRef": {"kind": "Pod", "name": "p", "namespace": "default", "uid": "uid-2"},
            "zone": "z",
        }
        assert second["conditions"] == {"ready": False, "serving": False, "terminating": False}

    run(story, ONE)


def test_a_terminating_pod_serves_but_is_not_ready() -> None:
    async def story(world: World) -> None:
        start(world)
        world.api.put(PODS, pod("p", "10.42.0.2"))
        world.api.put(SERVICES, service())
        await world.settle()
        world.api.delete(PODS, ("default", "p"), {})
        await world.settle()
        assert endpoints(world)[0]["conditions"] == {"ready": False, "serving": True, "terminating": True}
        world.api.remove(PODS, ("default", "p"))
        await world.settle()
        (item,) = world.api.list(ENDPOINTSLICES)
        assert (item["endpoints"], item["ports"]) == ([], [])

    run(story, ONE)


def test_unready_pods_can_be_published_and_headless_services_are_marked() -> None:
    async def story(world: World) -> None:
        start(world)
        world.api.put(PODS, pod("p", "10.42.0.2", ready=False, hostname="first", subdomain="svc"))
        world.api.put(SERVICES, service(publishNotReadyAddresses=True, clusterIP="None"))
        await world.settle()
        (item,) = world.api.list(ENDPOINTSLICES)
        assert item["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
        assert item["endpoints"][0]["conditions"] == {"ready": True, "serving": False, "terminating": False}
        assert item["endpoints"][0]["hostname"] == "first"

    run(story, ONE)


def test_nothing_is_written_when_nothing_changes_for_the_slice() -> None:
    async def story(world: World) -> None:
        start(world)
        world.api.put(PODS, pod("p", "10.42.0.2"))
        world.api.put(SERVICES, service())
        await world.settle()
        before = len(world.api.requests)
        world.api.set_status(PODS, "default", "p", startTime="2026-01-01T00:00:00Z")
        found = world.api.get(SERVICES, "default", "svc")
        world.api.update(SERVICES, {**found, "metadata": {**found["metadata"], "annotations": {"a": "b"}}})
        await world.settle()
        assert len(world.api.requests) == before

    run(story, ONE)


def test_many_pods_fill_slices_of_a_hundred() -> None:
    async def story(world: World) -> None:
        start(world)
        for number in range(250):
            world.api.put(PODS, pod(f"p{number}", f"10.42.{number // 250}.{number % 250 + 1}"))
        world.api.put(SERVICES, service())
        await world.settle()
        assert sorted(len(item["endpoints"]) for item in world.api.list(ENDPOINTSLICES)) == [50, 100, 100]

    run(story, ONE)


def test_a_service_prefers_the_near_when_told_so() -> None:
    async def story(world: World) -> None:
        start(world)
        world.api.put(PODS, pod("p", "10.42.0.2"))
        world.api.put(SERVICES, service(trafficDistribution="PreferSameNode"))
        await world.settle()
        assert endpoints(world)[0]["hints"] == {"forZones": [{"name": "z"}], "forNodes": [{"name": "n"}]}

    run(story, ONE)


Sizes = st.lists(st.tuples(st.integers(0, 1), st.sets(st.integers(0, 400), max_size=400)), min_size=1, max_size=5)


@settings(max_examples=60)
@given(steps=Sizes)
def test_plans_hold_what_is_wanted_within_the_limit(steps: list[tuple[int, set[int]]]) -> None:
    """Whatever the order of changes, the slices hold exactly what was asked for, and are touched only if needed."""
    slices: dict[str, Object] = {}
    head = slice_plan.Head("IPv4", "s-", {"labels": {"a": "b"}})
    made = 0
    for port, numbers in steps:
        ports: slice_plan.Ports = ((("name", ""), ("port", port)),)
        desired = {ports: [{"addresses": [f"a{number}"], "conditions": {}} for number in numbers]} if numbers else {}
        plan = slice_plan.plan(head, list(slices.values()), desired)
        for item in plan.create:
            made += 1
            slices[f"s-{made}"] = {**item, "metadata": {**item["metadata"], "name": f"s-{made}"}}
        for item in plan.update:
            assert slices[item["metadata"]["name"]] != item
            slices[item["metadata"]["name"]] = item
        for item in plan.delete:
            del slices[item["metadata"]["name"]]
        held = [endpoint["addresses"][0] for item in slices.values() for endpoint in item["endpoints"]]
        assert sorted(held) == sorted(f"a{number}" for number in numbers)
        assert all(len(item["endpoints"]) <= slice_plan.LIMIT for item in slices.values())
        assert slices
        again = slice_plan.plan(head, list(slices.values()), desired)
        assert not (again.create or again.update or again.delete)
