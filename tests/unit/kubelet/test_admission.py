"""Pods that the node cannot take."""

from __future__ import annotations

import pytest

from knarr.apimachinery.types import Object
from knarr.kubelet.admission import admit

NODE = {"cpu": "2", "memory": "1Gi", "pods": "2"}


def pod(**requests: str) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}}


def test_groups_that_the_runtime_cannot_hold_back_are_refused() -> None:
    strict = pod()
    strict["spec"]["securityContext"] = {"supplementalGroupsPolicy": "Strict"}
    text = "Pod was rejected: SupplementalGroupsPolicy=Strict is not supported in this node"
    assert admit(strict, [], NODE) == ("SupplementalGroupsPolicyNotSupported", text)
    strict["spec"]["securityContext"] = {"supplementalGroupsPolicy": "Merge"}
    assert admit(strict, [], NODE) is None


@pytest.mark.parametrize(
    ("others", "wanted", "refusal"),
    [
        ([], pod(cpu="2", memory="1Gi"), None),
        ([pod(cpu="1500m")], pod(cpu="500m"), None),
        (
            [pod(cpu="1500m")],
            pod(cpu="501m"),
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 501, used: 1500, capacity: 2000",
        ),
        (
            [pod(), pod()],
            pod(),
            "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(others: list[Object], wanted: Object, refusal: str | None) -> None:
    found = admit(wanted, others, NODE)
    assert (found and found[1]) == refusal


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, True),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, False),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, False),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, True),
        ({"containerPort": 80}, {"containerPort": 80}, False),
    ],
)
def test_a_port_of_the_node_is_given_once(one: Object, other: Object, *, clash: bool) -> None:
    wanted, there = pod(), pod()
    wanted["spec"]["containers"][0]["ports"] = [one]
    there["spec"]["containers"][0]["ports"] = [other]
    text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    refusal = ("NodePorts", f"Pod was rejected: {text}") if clash else None
    assert admit(wanted, [there], {"cpu": "2", "memory": "1Gi", "pods": "9"}) == refusal
