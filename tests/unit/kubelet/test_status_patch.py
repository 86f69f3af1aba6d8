"""What is told to the API server of pods and of the node."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from knarr.apimachinery.types import Object
from knarr.kubelet import node_status
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.node_facts import NodeFacts, Pressure
from knarr.kubelet.node_status import Observed
from knarr.kubelet.status_patch import status_patch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = NodeFacts(4, 8 << 30, 0, 100 << 30, "m", "s", "b", "6.1", "Debian", "amd64")
NODE = NodeConfig("n1", Path("/k"), Path("/l"), ("172.30.0.2",))


def condition(kind: str, status: str, **more: Any) -> Object:
    return {"type": kind, "status": status, **more}


def test_nothing_new_is_not_told() -> None:
    status = {"phase": "Running", "conditions": [condition("Ready", "True", lastProbeTime=None)]}
    there = {"phase": "Running", "conditions": [condition("Ready", "True"), condition("Own", "True")], "x": 1}
    assert status_patch("u", there, status) is None


def test_an_own_condition_that_is_over_is_taken_away() -> None:
    ready = condition("Ready", "True")
    there = {"conditions": [ready, condition("PodResizeInProgress", "True"), condition("Own", "True")]}
    patch = status_patch("u", there, {"conditions": [ready]})
    assert patch is not None
    assert patch["status"] == {"conditions": [{"$patch": "delete", "type": "PodResizeInProgress"}]}


def test_only_what_differs_is_told_and_foreign_conditions_stay() -> None:
    there = {"phase": "Pending", "qosClass": "Burstable", "conditions": [condition("Own", "True")], "reason": "Old"}
    ready = condition("Ready", "True")
    patch = status_patch("u", there, {"phase": "Running", "qosClass": "Burstable", "conditions": [ready]})
    assert patch == {
        "metadata": {"uid": "u"},
        "status": {"phase": "Running", "conditions": [ready], "reason": None},
    }


def test_what_a_condition_no_longer_says_is_taken_away() -> None:
    there = {"conditions": [condition("Ready", "False", reason="Waits", message="for it")]}
    patch = status_patch("u", there, {"conditions": [condition("Ready", "True")]})
    assert patch is not None
    assert patch["status"]["conditions"] == [{"type": "Ready", "status": "True", "reason": None, "message": None}]


def test_an_address_that_is_gone_is_replaced() -> None:
    one, other = [{"ip": "10.0.0.1"}], [{"ip": "10.0.0.2"}]
    assert status_patch("u", {}, {"podIPs": one}) == {"metadata": {"uid": "u"}, "status": {"podIPs": one}}
    patch = status_patch("u", {"podIPs": one}, {"podIPs": other})
    assert patch == {"metadata": {"uid": "u"}, "status": {"podIPs": [{"$patch": "replace"}, *other]}}


def test_the_node_keeps_the_time_of_a_condition_that_stays() -> None:
    first = node_status.node_status(NODE, FACTS, Observed(), {}, NOW)
    later = node_status.node_status(NODE, FACTS, Observed(), first, NOW.replace(hour=1))
    assert node_status.same(first, later)
    assert later["conditions"][3]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert later["conditions"][3]["lastHeartbeatTime"] == "2026-01-01T01:00:00Z"
    worse = node_status.node_status(NODE, FACTS, Observed(Pressure(memory=True), "no network"), first, NOW)
    assert not node_status.same(first, worse)
    assert [each["status"] for each in worse["conditions"]] == ["True", "False", "False", "False"]


def test_a_node_offers_less_than_it_has() -> None:
    status = node_status.node_status(NODE, FACTS, Observed(), {}, NOW)
    assert status["capacity"]["memory"] == "8388608Ki" and status["allocatable"]["memory"] == "8286208Ki"
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "172.30.0.2"},
        {"type": "Hostname", "address": "n1"},
    ]


def test_an_unready_runtime_is_told_in_its_own_words() -> None:
    conditions: dict[str, Any] = {
        "RuntimeReady": {"status": True},
        "NetworkReady": {"status": False, "reason": "NetworkPluginNotReady", "message": "cni plugin not initialized"},
    }
    assert node_status.unready_reason(conditions) == (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:cni plugin not initialized"
    )
