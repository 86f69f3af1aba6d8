"""Cells whose rules have corners: what is cut off, what is missing, what a state hides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from knarr.api.printers import cluster, core, network, storage, table, workloads
from knarr.api.printers.kinds import Cells
from knarr.api.registry import PODS, RESOURCES
from knarr.apimachinery.types import Object

NOW = datetime(2026, 1, 1, tzinfo=UTC)
META: Object = {"name": "x", "creationTimestamp": "2025-12-31T23:55:00Z"}


def cell(printer: Cells, column: int, **fields: Any) -> Any:
    return printer({"metadata": META, **fields}, NOW)[column]


def ended(code: int, reason: str) -> Object:
    return {"name": "c", "state": {"terminated": {"exitCode": code, "reason": reason}}}


@pytest.mark.parametrize(
    ("others", "conditions", "status"),
    [
        ([ended(0, "Completed")], [], "Completed"),
        ([ended(2, "Error")], [], "Error"),
        ([{"name": "d", "state": {"running": {}}, "ready": True}], [], "NotReady"),
        (
            [{"name": "d", "state": {"running": {}}, "ready": True}, ended(2, "Error")],
            [{"type": "Ready", "status": "True"}],
            "Running",
        ),
        ([{"name": "d", "state": {"running": {}}, "ready": True}, ended(2, "OOMKilled")], [], "OOMKilled"),
    ],
)
def test_a_completed_container_does_not_hide_the_others(
    others: list[Object], conditions: list[Object], status: str
) -> None:
    told: Object = {"phase": "Running", "conditions": conditions, "containerStatuses": [ended(0, "Completed"), *others]}
    obj: Object = {"metadata": META, "spec": {"containers": [{"name": "c"}]}, "status": told}
    assert table.cells(PODS, obj, NOW)[2] == status


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ([], "*"),
        (["", ""], "*"),
        (["a", "b", "c"], "a,b,c"),
        (["a", "", "b", "c"], "a,b,c"),
        (["a", "b", "c", "d"], "a,b,c + 1 more..."),
        (["a", "b", "c", "", "e"], "a,b,c + 2 more..."),
    ],
)
def test_the_hosts_of_an_ingress(hosts: list[str], text: str) -> None:
    rules = [{"host": host} if host else {} for host in hosts]
    assert cell(network.ingress, 2, spec={"rules": rules}) == text


@pytest.mark.parametrize(
    ("subsets", "text"),
    [
        (None, "<none>"),
        ([{"notReadyAddresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}], ""),
        ([{"addresses": [{"ip": "192.0.2.1"}]}], "192.0.2.1"),
        (
            [{"addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}], "ports": [{"port": 80}, {"port": 81}]}],
            "192.0.2.1:80,[2001:db8::1]:80,192.0.2.1:81 + 1 more...",
        ),
    ],
)
def test_the_addresses_of_endpoints(subsets: list[Object] | None, text: str) -> None:
    assert cell(core.endpoints, 1, subsets=subsets) == text


def test_the_ports_of_a_slice() -> None:
    assert cell(network.endpoint_slice, 2, ports=[{}]) == "*"
    assert cell(network.endpoint_slice, 2, ports=[{"name": ""}]) == "<unset>"
    assert cell(network.endpoint_slice, 2, ports=[{"port": 80}, {"name": "web"}]) == "80,web"


@pytest.mark.parametrize(
    ("status", "deleted", "text"),
    [
        ({}, False, "pending"),
        ({}, True, "deleted"),
        ({"reservedFor": [{"name": "p"}]}, False, "pending"),
        ({"allocation": {}, "reservedFor": [{"name": "p"}]}, False, "allocated,reserved"),
        ({"allocation": {}}, True, "deleted,allocated"),
    ],
)
def test_the_state_of_a_claim_for_devices(status: Object, text: str, *, deleted: bool) -> None:
    meta = {**META, "deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else META
    assert cluster.device_claim({"metadata": meta, "status": status}, NOW)[1] == text


def test_a_slice_of_devices_of_no_single_node_shows_none() -> None:
    spec: Object = {"allNodes": True, "driver": "gpu.example.com", "pool": {"name": "pool"}}
    assert cluster.device_slice({"metadata": META, "spec": spec}, NOW) == ["x", "", "gpu.example.com", "pool", "5m"]


def metric(kind: str, target: Object, now: Object | None) -> str:
    field = kind[0].lower() + kind[1:]
    current = [] if now is None else [{"type": kind, field: {"current": now}}]
    spec: Object = {
        "scaleTargetRef": {"kind": "Deployment", "name": "d"},
        "metrics": [{"type": kind, field: {"name": "cpu", "target": target}}],
    }
    return str(workloads.autoscaler({"metadata": META, "spec": spec, "status": {"currentMetrics": current}}, NOW)[2])


@pytest.mark.parametrize(
    ("kind", "target", "now", "text"),
    [
        ("Resource", {"averageUtilization": 60}, None, "cpu: <unknown>/60%"),
        ("Resource", {"averageUtilization": 60}, {"averageUtilization": 0}, "cpu: 0%/60%"),
        ("Resource", {"averageValue": "100m"}, {"averageValue": "30m"}, "cpu: 30m/100m"),
        ("ContainerResource", {}, None, "cpu: <unknown>/<auto>"),
        ("Pods", {"averageValue": "5"}, {"averageValue": "0"}, "0/5"),
        ("Object", {"value": "5"}, {"value": "3"}, "3/5"),
        ("Object", {"averageValue": "5"}, {"value": "3"}, "<unknown>/5 (avg)"),
        ("External", {"value": "5"}, {"averageValue": "3"}, "<nil>/5"),
        ("Else", {}, None, "<unknown type>"),
    ],
)
def test_the_targets_of_an_autoscaler(kind: str, target: Object, now: Object | None, text: str) -> None:
    assert metric(kind, target, now) == text


def test_a_level_without_limits_shows_no_numbers() -> None:
    exempt: Object = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0}}
    none = ["<none>"] * 4
    assert cluster.priority_level({"metadata": META, "spec": exempt}, NOW) == ["x", "Exempt", *none, "5m"]
    limited: Object = {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Queue", "queuing": {"queues": 8}}}
    shown = cluster.priority_level({"metadata": META, "spec": {"type": "Limited", "limited": limited}}, NOW)
    assert shown[2:6] == [5, 8, 0, 0]


def test_flow_schemas_stand_in_the_order_in_which_they_match() -> None:
    resource = next(one for one in RESOURCES if one.plural == "flowschemas")
    names = [("c", 1000), ("b", 1), ("a", 1000)]
    objects = [{"metadata": {"name": name}, "spec": {"matchingPrecedence": number}} for name, number in names]
    assert [obj["metadata"]["name"] for obj in table.ordered(resource, objects)] == ["b", "a", "c"]
    assert table.ordered(PODS, objects) is objects


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (None, "<unset>"),
        ({"name": "p"}, "*/p"),
        ({"name": "p", "namespace": "n"}, "n/p"),
        (
            {"selector": {"matchLabels": {"b": "2", "a": "1"}}},
            "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{},}",
        ),
        (
            {"selector": {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v", "w"]}]}},
            "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{"
            "LabelSelectorRequirement{Key:k,Operator:In,Values:[v w],},},}",
        ),
    ],
)
def test_the_parameters_of_a_policy_binding(reference: Object | None, text: str) -> None:
    assert cell(cluster.policy_binding, 2, spec={"policyName": "p", "paramRef": reference}) == text


def test_small_cells_tell_nothing_from_unset() -> None:
    assert cell(storage.csi_driver, 4, spec={}) == "<unset>"
    assert cell(storage.csi_driver, 4, spec={"tokenRequests": [{"audience": ""}]}) == ""
    assert cell(storage.csi_driver, 6, spec={}) == "<none>"
    assert cell(storage.volume, 7, spec={"volumeAttributesClassName": ""}) == ""
    assert cell(storage.claim, 6, spec={}) == "<unset>"
    assert cell(core.component_status, 1, conditions=[{"type": "Healthy", "status": "Unknown"}]) == "Unhealthy"
    assert cell(core.component_status, 1) == "Unknown"
    assert cell(network.ip_address, 1, spec={}) == "<none>"
    parent = {"resource": "services", "namespace": "default", "name": "web"}
    assert cell(network.ip_address, 1, spec={"parentRef": parent}) == "services/default/web"
