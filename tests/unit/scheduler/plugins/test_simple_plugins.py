"""Plugins that judge a node by itself, each against the plain wording of its rule."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.scheduler.framework import Code, Event, EventKind, Status, normalized
from knarr.scheduler.plugins.image_locality import ImageLocality
from knarr.scheduler.plugins.node_affinity import NodeAffinity
from knarr.scheduler.plugins.node_name import NodeName
from knarr.scheduler.plugins.node_ports import NodePorts
from knarr.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from knarr.scheduler.plugins.node_resources_fit import NodeResourcesFit
from knarr.scheduler.plugins.node_unschedulable import NodeUnschedulable
from knarr.scheduler.plugins.scheduling_gates import SchedulingGates
from knarr.scheduler.plugins.taint_toleration import TaintToleration

MIB = 1024 * 1024


def judged(plugin: Any, pod: Any, cluster: Any) -> dict[str, Status | None]:
    result = plugin.pre_filter(pod, cluster)
    assert result.rejection is None
    return {node.name: result.filter(node) if result.filter else None for node in cluster.nodes}


def scored(plugin: Any, pod: Any, cluster: Any) -> dict[str, int] | None:
    scores = plugin.score(pod, cluster, cluster.nodes)
    return None if scores is None else dict(zip([node.name for node in cluster.nodes], scores, strict=True))


SIZES = st.integers(0, 6)
PODS = st.lists(st.tuples(SIZES, SIZES, SIZES), max_size=3)


@given(PODS, st.tuples(SIZES, SIZES, SIZES), st.tuples(SIZES, SIZES, SIZES), st.integers(0, 4))
def test_fit(make_pod: Any, make_node: Any, make_cluster: Any, running: Any, wanted: Any, room: Any, most: int) -> None:
    def container(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
        cpu, memory, other = sizes
        return [{"name": "c", "resources": {"requests": {"cpu": f"{cpu}m", "memory": memory, "x.y/z": other}}}]

    node = make_node("n", cpu=f"{room[0]}m", memory=str(room[1]), more={"x.y/z": room[2]}, pods=str(most))
    pods = [make_pod(f"r{i}", node="n", containers=container(sizes)) for i, sizes in enumerate(running)]
    status = judged(NodeResourcesFit(), make_pod(containers=container(wanted)), make_cluster([node], pods))["n"]
    reasons = ["Too many pods"] if len(running) + 1 > most else []
    names = ("cpu", "memory", "x.y/z")
    for at, name in enumerate(names):
        if wanted[at] > 0 and wanted[at] + sum(sizes[at] for sizes in running) > room[at]:
            reasons.append(f"Insufficient {name}")
    hopeless = any(wanted[at] > room[at] for at in range(3))
    if reasons:
        assert status == Status(Code.UNRESOLVABLE if hopeless else Code.UNSCHEDULABLE, tuple(reasons))
    else:
        assert status is None


@given(st.integers(0, 5000), st.integers(0, 9000), st.integers(0, 5000), st.integers(0, 9000))
def test_resource_scores(
    make_pod: Any, make_node: Any, make_cluster: Any, cpu: int, memory: int, used_cpu: int, used_memory: int
) -> None:
    def pod(name: str, c: int, m: int, node: str = "") -> Any:
        requests = {"cpu": f"{c}m", "memory": f"{m}Mi"}
        return make_pod(name, node=node, containers=[{"name": "c", "resources": {"requests": requests}}])

    cluster = make_cluster([make_node("n")], [pod("r", used_cpu, used_memory, "n")])
    shares = [(4000 - used_cpu - cpu, 4000), (8192 - used_memory - memory, 8192)]
    least = sum(max(free, 0) * 100 // total for free, total in shares) // 2
    assert scored(NodeResourcesFit(), pod("p", cpu, memory), cluster) == {"n": least}
    used = [min((total - free) / total, 1) for free, total in shares]
    balanced = scored(NodeResourcesBalancedAllocation(), pod("p", cpu, memory), cluster)
    assert balanced == (None if cpu == memory == 0 else {"n": int((1 - abs(used[0] - used[1]) / 2) * 100)})


def test_containers_without_requests_count_as_nominal_ones(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node("n", cpu="1", memory="1000Mi")])
    assert scored(NodeResourcesFit(), make_pod(), cluster) == {"n": (90 + 80) // 2}


def test_ports(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    def pod(name: str, node: str = "", **port: Any) -> Any:
        return make_pod(name, node=node, containers=[{"name": "c", "ports": [port]}])

    cluster = make_cluster(
        [make_node("any"), make_node("one"), make_node("free")],
        [pod("a", "any", hostPort=80), pod("b", "one", hostPort=80, hostIP="1.1.1.1")],
    )

    def refused(**port: Any) -> set[str]:
        result = judged(NodePorts(), pod("p", **port), cluster)
        assert all(
            s is None or s.reasons == ("node(s) didn't have free ports for the requested pod ports",)
            for s in result.values()
        )
        return {name for name, status in result.items() if status}

    assert refused(hostPort=80) == {"any", "one"}
    assert refused(hostPort=80, hostIP="1.1.1.1") == {"any", "one"}
    assert refused(hostPort=80, hostIP="2.2.2.2") == {"any"}
    assert refused(hostPort=80, protocol="UDP") == set()
    assert refused(containerPort=80) == set()
    going = Event(EventKind.POD_DELETE, old=pod("a", "any", hostPort=80).obj)
    assert NodePorts().wakes(pod("p", hostPort=80), going)
    assert not NodePorts().wakes(pod("p", hostPort=81), going)


def test_taints(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    hard = {"key": "h", "value": "1", "effect": "NoSchedule"}
    soft = {"key": "s", "effect": "PreferNoSchedule"}
    cluster = make_cluster(
        [make_node("hard", taints=[hard]), make_node("soft", taints=[soft, {**soft, "key": "t"}]), make_node("none")]
    )
    refused = judged(TaintToleration(), make_pod(), cluster)
    assert refused["hard"] == Status(Code.UNRESOLVABLE, ("node(s) had untolerated taint(s)",))
    assert refused["soft"] is None and refused["none"] is None
    tolerant = make_pod(tolerations=[{"key": "h", "value": "1"}, {"key": "s", "operator": "Exists"}])
    assert set(judged(TaintToleration(), tolerant, cluster).values()) == {None}
    assert scored(TaintToleration(), make_pod(), cluster) == {"hard": 100, "soft": 0, "none": 100}
    assert scored(TaintToleration(), tolerant, cluster) == {"hard": 100, "soft": 0, "none": 100}
    everything = make_pod(tolerations=[{"operator": "Exists"}])
    assert scored(TaintToleration(), everything, cluster) == {"hard": 100, "soft": 100, "none": 100}
    tainted, clean = make_node("n", taints=[hard]), make_node("n")
    assert TaintToleration().wakes(make_pod(), Event(EventKind.NODE_UPDATE, tainted, clean))
    assert not TaintToleration().wakes(make_pod(), Event(EventKind.NODE_UPDATE, clean, clean))
    assert not TaintToleration().wakes(make_pod(), Event(EventKind.NODE_ADD, new=tainted))


def test_cordoned_nodes(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node("n", unschedulable=True)])
    status = judged(NodeUnschedulable(), make_pod(), cluster)["n"]
    assert status == Status(Code.UNRESOLVABLE, ("node(s) were unschedulable",))
    tolerant = make_pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert judged(NodeUnschedulable(), tolerant, cluster) == {"n": None}
    event = Event(EventKind.NODE_UPDATE, make_node("n", unschedulable=True), make_node("n"))
    assert NodeUnschedulable().wakes(make_pod(), event)


def test_node_name(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node("a"), make_node("b")])
    result = judged(NodeName(), make_pod(node="a"), cluster)
    assert result["a"] is None and result["b"] is not None
    assert result["b"].reasons == ("node(s) didn't match the requested node name",)


def test_node_affinity(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node("a", labels={"x": "1"}), make_node("b", labels={"x": "2"})])
    result = judged(NodeAffinity(), make_pod(nodeSelector={"x": "1"}), cluster)
    assert result["a"] is None and result["b"] is not None
    assert result["b"].reasons == ("node(s) didn't match Pod's node affinity/selector",)

    def preferred(weight: int, value: str) -> dict[str, Any]:
        expression = {"key": "x", "operator": "In", "values": [value]}
        return {"weight": weight, "preference": {"matchExpressions": [expression]}}

    terms = [preferred(10, "1"), preferred(40, "2"), preferred(20, "3")]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
    assert scored(NodeAffinity(), make_pod(affinity=affinity), cluster) == {"a": 25, "b": 100}
    assert scored(NodeAffinity(), make_pod(), cluster) is None


def test_images(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    def image(size: int) -> list[dict[str, Any]]:
        return [{"names": ["app:latest"], "sizeBytes": size * MIB}]

    cluster = make_cluster([make_node("a", images=image(1000)), make_node("b", images=image(300)), make_node("c")])
    share = 2 / 3

    def expected(size: int) -> int:
        total = min(max(int(size * MIB * share), 23 * MIB), 1000 * MIB)
        return 100 * (total - 23 * MIB) // (977 * MIB)

    assert scored(ImageLocality(), make_pod(), cluster) == {"a": expected(1000), "b": expected(300), "c": 0}
    assert scored(ImageLocality(), make_pod(containers=[{"image": "other"}]), cluster) is None


def test_gates(make_pod: Any) -> None:
    status = SchedulingGates().pre_enqueue(make_pod(schedulingGates=[{"name": "a"}, {"name": "b"}]))
    assert status is not None and status.reasons == ("waiting for scheduling gates: [a b]",)
    assert SchedulingGates().pre_enqueue(make_pod()) is None


def test_normalizing() -> None:
    assert normalized([0, 5, 10]) == [0, 50, 100]
    assert normalized([0, 5, 10], reverse=True) == [100, 50, 0]
    assert normalized([0, 0]) == [0, 0]
    assert normalized([0, 0], reverse=True) == [100, 100]
    assert normalized([]) == []
