import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.simulation import nodes, pods
from knarr.simulation.addresses import NodeAddresses
from knarr.simulation.counts import Counts, node_state, pod_state
from knarr.simulation.load import Load
from knarr.simulation.stages import NodeState, PodState

NOW = "2026-01-01T00:00:00Z"
POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 2},
    "spec": {
        "nodeName": "sim-00000",
        "containers": [{"name": "main", "image": "i"}],
        "initContainers": [{"name": "first", "image": "i"}, {"name": "side", "image": "i", "restartPolicy": "Always"}],
    },
}


def test_a_running_pod_looks_as_a_kubelet_would_say_it() -> None:
    status = pods.status(POD, PodState(), NOW, "127.64.0.1", "10.128.0.2")["status"]
    assert (status["phase"], status["podIP"], status["startTime"]) == ("Running", "10.128.0.2", NOW)
    assert {each["type"]: each["status"] for each in status["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"), "True"
    )
    assert status["containerStatuses"][0]["state"] == {"running": {"startedAt": NOW}}
    first, side = status["initContainerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 0
    assert side["state"] == {"running": {"startedAt": NOW}}
    assert pod_state({**POD, "status": status}) == "Ready"


def test_a_failed_pod_says_why() -> None:
    state = PodState("Failed", ready=False, exit_code=3, reason="Broken", message="so it is")
    status = pods.status(POD, state, NOW, "h", "a")["status"]
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Broken", "so it is")
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert pod_state({**POD, "status": status}) == "Failed"
    assert "podIP" not in status


def test_nodes_differ_in_name_zone_and_addresses() -> None:
    shape = nodes.Shape("sim", labels={"disk": "fast"}, taints=({"key": "k", "effect": "NoSchedule"},))
    first, second = nodes.node(shape, 0, "v1.36.0", NOW), nodes.node(shape, 1, "v1.36.0", NOW)
    assert [each["spec"]["podCIDR"] for each in (first, second)] == ["10.128.0.0/24", "10.128.1.0/24"]
    assert first["metadata"]["labels"]["disk"] == "fast"
    assert len({str(each["status"]["addresses"]) for each in (first, second)}) == 2
    assert all(ipaddress.ip_address(nodes.host_address(i)).is_loopback for i in (0, 1, 40_000, 9_999_999))
    assert node_state(first) == "Ready"
    assert node_state({"status": {"conditions": nodes.conditions(NodeState(ready=False), NOW)}}) == "NotReady"


def test_a_range_that_is_used_up_is_an_error() -> None:
    shape = nodes.Shape("sim", pod_cidr=ipaddress.IPv4Network("10.0.0.0/23"))
    assert shape.range_of(1) == "10.0.1.0/24"
    with pytest.raises(ValueError, match="room for 2 nodes"):
        shape.range_of(2)


@given(st.lists(st.integers(0, 300), max_size=400))
def test_no_two_pods_have_one_address(draws: list[int]) -> None:
    free, taken = NodeAddresses("10.128.3.0/24"), set[str]()
    for draw in draws:
        if draw % 3 == 0 and taken:
            address = sorted(taken)[draw % len(taken)]
            taken.remove(address)
            free.free(address)
        else:
            address = free.take()
            assert address not in taken
            assert bool(address) == (len(taken) < 253)
            taken |= {address} - {""}


def test_an_address_that_was_there_before_is_kept() -> None:
    free = NodeAddresses("10.128.3.0/24")
    free.hold("10.128.3.2")
    free.hold("10.9.9.9")
    assert free.take() == "10.128.3.3"
    free.free("10.9.9.9")
    free.free("10.128.3.0")
    assert free.take() == "10.128.3.4"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["Ready", "Pending", ""]))))
def test_counts_are_those_of_what_is_there(changes: list[tuple[str, str]]) -> None:
    counts, there = Counts(), dict[str, str]()
    for uid, state in changes:
        if state:
            counts.seen(uid, state)
            there[uid] = state
        else:
            counts.gone(uid)
            there.pop(uid, None)
    assert +counts.by_state == {s: n for s in ("Ready", "Pending") if (n := [*there.values()].count(s))}
    counts.keep({"a"})
    assert counts.total == len(there.keys() & {"a"})


@given(st.integers(1, 50), st.integers(0, 500))
def test_deployments_share_the_pods_evenly(deployments: int, more: int) -> None:
    load = Load("l", "n", pods=deployments + more, deployments=deployments)
    sizes = [each["spec"]["replicas"] for each in load.objects()]
    assert sum(sizes) == load.pods
    assert max(sizes) - min(sizes) <= 1


def test_bare_pods_have_names_of_their_own() -> None:
    names = [each["metadata"]["name"] for each in Load("l", "n", pods=3).objects()]
    assert names == ["l-0", "l-1", "l-2"]
