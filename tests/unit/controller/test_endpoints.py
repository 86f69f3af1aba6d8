"""Endpoints, their mirrors, and aggregated roles."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fakes.world import World, run

from knarr.api.registry import CLUSTERROLES, ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from knarr.api.semantics import endpoint_subsets
from knarr.apimachinery.types import Object
from knarr.controller import cluster_role_aggregation, endpoint_slice_mirroring, endpoints


def service(**spec: Any) -> Object:
    given = {
        "selector": {"app": "a"},
        "clusterIP": "10.43.0.9",
        "ports": [{"port": 80}],
        "ipFamilies": ["IPv4"],
        **spec,
    }
    return {"metadata": {"name": "svc", "namespace": "default"}, "spec": given}


def pod(name: str, ip: str, *, ready: bool = True) -> Object:
    meta = {"name": name, "namespace": "default", "labels": {"app": "a"}}
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    status = {"phase": "Running", "podIPs": [{"ip": ip}], "conditions": [condition]}
    return {"metadata": meta, "spec": {"nodeName": "n", "containers": []}, "status": status}


def test_endpoints_tell_ready_and_unready_addresses() -> None:
    async def story(world: World) -> None:
        world.api.put(SERVICES, service())
        await world.settle()
        assert "subsets" not in world.api.get(ENDPOINTS, "default", "svc")
        world.api.put(PODS, pod("p", "10.1.1.2"))
        world.api.put(PODS, pod("q", "10.1.1.1", ready=False))
        await world.settle()
        found = world.api.get(ENDPOINTS, "default", "svc")
        assert found["metadata"]["labels"] == {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
        target = {"kind": "Pod", "name": "p", "namespace": "default", "uid": "uid-3"}
        (subset,) = found["subsets"]
        assert subset["addresses"] == [{"ip": "10.1.1.2", "nodeName": "n", "targetRef": target}]
        assert [address["ip"] for address in subset["notReadyAddresses"]] == ["10.1.1.1"]
        assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]
        before = len(world.api.requests)
        world.api.set_status(PODS, "default", "p", startTime="2026-01-01T00:00:00Z")
        await world.settle()
        assert len(world.api.requests) == before
        world.api.remove(SERVICES, ("default", "svc"))
        await world.settle()
        assert not world.api.list(ENDPOINTS)

    run(story, (endpoints.CONTROLLER,))


def test_endpoints_that_people_write_are_mirrored() -> None:
    async def story(world: World) -> None:
        world.api.put(SERVICES, service(selector=None))
        subsets = [{"addresses": [{"ip": "10.9.0.1"}], "ports": [{"port": 80, "protocol": "TCP"}]}]
        world.api.create(ENDPOINTS, {"metadata": {"name": "svc", "namespace": "default"}, "subsets": subsets})
        await world.settle()
        (item,) = world.api.list(ENDPOINTSLICES)
        assert item["endpoints"] == [{"addresses": ["10.9.0.1"], "conditions": {"ready": True}}]
        assert item["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
        assert item["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"].startswith("endpointslicemirroring")
        found = world.api.get(ENDPOINTS, "default", "svc")
        skip = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        world.api.update(ENDPOINTS, {**found, "metadata": {**found["metadata"], "labels": skip}})
        await world.settle()
        assert not world.api.list(ENDPOINTSLICES)

    run(story, (endpoint_slice_mirroring.CONTROLLER,))


def test_of_many_addresses_a_thousand_are_mirrored_in_one_slice_each_family() -> None:
    async def story(world: World) -> None:
        world.api.put(SERVICES, service(selector=None))
        four = [{"ip": f"10.9.{number // 250}.{number % 250}"} for number in range(990)]
        six = [{"ip": f"fd00::{number:x}"} for number in range(30)]
        subsets = [{"addresses": four, "notReadyAddresses": six, "ports": [{"port": 80, "protocol": "TCP"}]}]
        world.api.create(ENDPOINTS, {"metadata": {"name": "svc", "namespace": "default"}, "subsets": subsets})
        await world.settle()
        sizes = {item["addressType"]: len(item["endpoints"]) for item in world.api.list(ENDPOINTSLICES)}
        assert sizes == {"IPv4": 990, "IPv6": 10}

    assert run(story, (endpoint_slice_mirroring.CONTROLLER,)).notes.messages() == [
        "Warning TooManyAddressesToMirror: A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints "
        "subset. 20 addresses were skipped"
    ]


def sizes(subsets: list[Object]) -> list[tuple[int, int]]:
    return [(len(item.get("addresses", ())), len(item.get("notReadyAddresses", ()))) for item in subsets]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([(2, 3), (4, 1)], [(2, 3), (4, 1)]),
        ([(6, 3), (2, 3)], [(6, 1), (2, 1)]),
        ([(9, 3), (6, 3)], [(6, 0), (4, 0)]),
        ([(0, 30), (10, 0)], [(0, 0), (10, 0)]),
    ],
)
def test_too_many_addresses_are_cut_in_proportion(given: list[tuple[int, int]], kept: list[tuple[int, int]]) -> None:
    made: list[Object] = [{"addresses": [{}] * ready, "notReadyAddresses": [{}] * unready} for ready, unready in given]
    assert sizes(endpoint_subsets.within(made, 10)) == kept


def test_endpoints_tell_since_when_what_they_say_is_so() -> None:
    async def story(world: World) -> None:
        def since() -> object:
            notes = world.api.get(ENDPOINTS, "default", "svc")["metadata"].get("annotations") or {}
            return notes.get("endpoints.kubernetes.io/last-change-trigger-time")

        world.api.put(SERVICES, service())
        await world.settle()
        assert since() == "2026-01-01T00:00:00Z"
        late = pod("p", "10.1.1.2")
        late["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:05:00Z"
        world.api.put(PODS, late)
        await world.settle()
        assert since() == "2026-01-01T00:05:00Z"
        world.api.remove(PODS, ("default", "p"))
        await world.settle()
        assert since() is None

    run(story, (endpoints.CONTROLLER,))


def test_an_aggregated_role_gathers_rules() -> None:
    async def story(world: World) -> None:
        selectors = [{"matchLabels": {"agg": "x"}}]
        world.api.create(
            CLUSTERROLES, {"metadata": {"name": "all"}, "aggregationRule": {"clusterRoleSelectors": selectors}}
        )
        rules = {name: [{"apiGroups": [""], "resources": [name], "verbs": ["get"]}] for name in ("pods", "nodes")}
        for name, rule in rules.items():
            world.api.create(CLUSTERROLES, {"metadata": {"name": name, "labels": {"agg": "x"}}, "rules": rule})
        await world.settle()
        assert world.api.get(CLUSTERROLES, "", "all")["rules"] == rules["nodes"] + rules["pods"]
        world.api.remove(CLUSTERROLES, ("", "pods"))
        await world.settle()
        assert world.api.get(CLUSTERROLES, "", "all")["rules"] == rules["nodes"]

    run(story, (cluster_role_aggregation.CONTROLLER,))
