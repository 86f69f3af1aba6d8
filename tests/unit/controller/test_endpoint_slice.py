"""EndpointSlices."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.world import World, run

from knarr.api.registry import ENDPOINTSLICES, NODES, PODS, SERVICES
from knarr.api.semantics import slice_plan
from knarr.apimachinery.types import Object
from knarr.controller import endpoint_slice
from knarr.controller.endpoint_slice import topology

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


TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"


def triggers(world: World) -> list[str | None]:
    return [(item["metadata"].get("annotations") or {}).get(TRIGGER) for item in world.api.list(ENDPOINTSLICES)]


def test_slices_tell_since_when_what_they_say_is_so() -> None:
    async def story(world: World) -> None:
        start(world)
        world.api.put(SERVICES, service())
        await world.settle()
        assert triggers(world) == ["2026-01-01T00:00:00Z"]
        for name, since in (("p", "2026-01-01T00:01:00Z"), ("q", "2026-01-01T00:02:00Z")):
            made = pod(name, f"10.42.0.{ord(name)}")
            made["status"]["conditions"][0]["lastTransitionTime"] = since
            world.api.put(PODS, made)
        await world.settle()
        assert triggers(world) == ["2026-01-01T00:01:00Z"]
        later = [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:03:00Z"}]
        world.api.set_status(PODS, "default", "q", conditions=later)
        await world.settle()
        assert triggers(world) == ["2026-01-01T00:03:00Z"]
        world.api.remove(PODS, ("default", "q"))
        await world.settle()
        assert triggers(world) == [None]

    run(story, ONE)


def slices_by_zone(zones: list[str], *, hints: list[str | None] | None = None) -> list[Object]:
    def endpoint(number: int) -> Object:
        found: Object = {
            "addresses": [f"10.0.0.{number}"],
            "conditions": {"ready": True},
            "zone": zones[number],
            "targetRef": {"uid": str(number)},
        }
        zone = hints[number] if hints else None
        return {**found, "hints": {"forZones": [{"name": zone}]}} if zone else found

    made = [endpoint(number) for number in range(len(zones))]
    return [
        {"metadata": {"name": f"s{at}"}, "addressType": "IPv4", "endpoints": made[at : at + 5], "ports": []}
        for at in range(0, len(made), 5)
    ]


def zone_node(zone: str, cpu: int) -> Object:
    status = {"allocatable": {"cpu": str(cpu)}, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": zone, "labels": {"topology.kubernetes.io/zone": zone}}, "status": status}


def hinted(slices: list[Object]) -> list[str]:
    return [one["hints"]["forZones"][0]["name"] for item in slices for one in item["endpoints"] if one.get("hints")]


@settings(max_examples=200, deadline=None)
@given(
    cpus=st.lists(st.integers(1, 16), min_size=2, max_size=4),
    zones=st.lists(st.sampled_from("abcd"), max_size=30),
)
def test_hints_give_each_zone_its_share_and_rest(cpus: list[int], zones: list[str]) -> None:
    names = "abcd"[: len(cpus)]
    zones = [zone if zone in names else "a" for zone in zones]
    nodes = [zone_node(zone, cpu) for zone, cpu in zip(names, cpus, strict=True)]
    plan = slice_plan.Plan(create=slices_by_zone(zones))
    (note,) = topology.apply(plan, [], nodes, service())
    found = hinted(plan.create)
    if note.reason == "TopologyAwareHintsDisabled":
        assert not found
        return
    assert len(found) == len(zones)
    shares = {zone: len(zones) * cpu / sum(cpus) for zone, cpu in zip(names, cpus, strict=True)}
    beyond = [found.count(zone) - max(share, math.ceil(share / 1.2)) for zone, share in shares.items()]
    # Nobody has one to give to somebody who lacks one; halves stay where they are.
    give, lack = max(beyond), -min(beyond)
    assert (give < 1 and lack < 1) or min(give, lack) < 0.5
    again = slice_plan.Plan()
    written = [item for item in plan.create if item["endpoints"]]
    assert topology.apply(again, written, nodes, service()) == ()
    assert len(hinted(again.update)) == sum(len(item["endpoints"]) for item in again.update)


def test_a_service_by_zones_has_hints_and_loses_them_with_a_zone() -> None:
    async def story(world: World) -> None:
        for zone in "ab":
            world.api.put(NODES, zone_node(zone, 4))
        for number in range(4):
            world.api.put(PODS, pod(f"p{number}", f"10.42.0.{number + 1}", node="a" if number else "b"))
        made = service()
        made["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": "Auto"}
        world.api.put(SERVICES, made)
        await world.settle()
        assert sorted(hinted(list(world.api.list(ENDPOINTSLICES)))) == ["a", "a", "b", "b"]
        before = len(world.api.requests)
        world.api.set_status(PODS, "default", "p1", startTime="2026-01-01T00:00:00Z")
        await world.settle()
        assert len(world.api.requests) == before
        world.api.set_status(NODES, "", "b", conditions=[{"type": "Ready", "status": "False"}])
        await world.settle()
        assert hinted(list(world.api.list(ENDPOINTSLICES))) == []

    assert run(story, ONE).notes.messages() == [
        "Normal TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4",
        "Warning TopologyAwareHintsDisabled: Insufficient Node information: allocatable CPU or zone not specified on "
        "one or more nodes, addressType: IPv4",
    ]
