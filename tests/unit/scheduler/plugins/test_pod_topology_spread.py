from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.scheduler.plugins.pod_topology_spread import PodTopologySpread

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def constraint(key: str, skew: int, *, hard: bool = True, **more: Any) -> dict[str, Any]:
    action = "DoNotSchedule" if hard else "ScheduleAnyway"
    selector = {"matchLabels": {"app": "x"}}
    return {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": action, "labelSelector": selector, **more}


# For each node: its zone (or none), and how many like pods it has.
NODES = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 4)), min_size=1, max_size=6)


def build(make_pod: Any, make_node: Any, make_cluster: Any, layout: list[tuple[str | None, int]]) -> Any:
    nodes, pods = [], []
    for at, (zone, count) in enumerate(layout):
        nodes.append(make_node(f"n{at}", labels={ZONE: zone} if zone else {}))
        pods += [make_pod(f"p{at}-{i}", node=f"n{at}", labels={"app": "x"}) for i in range(count)]
        pods.append(make_pod(f"other{at}", node=f"n{at}", labels={"app": "y"}))
        pods.append(make_pod(f"away{at}", node=f"n{at}", labels={"app": "x"}, namespace="away"))
        pods.append(
            make_pod(
                f"going{at}", node=f"n{at}", labels={"app": "x"}, meta={"deletionTimestamp": "2026-01-01T00:00:00Z"}
            )
        )
    return make_cluster(nodes, pods)


@given(NODES, st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_filter_keeps_the_skew(
    make_pod: Any, make_node: Any, make_cluster: Any, layout: Any, skew: int, domains: int, like: bool
) -> None:
    cluster = build(make_pod, make_node, make_cluster, layout)
    pod = make_pod(
        labels={"app": "x" if like else "y"}, topologySpreadConstraints=[constraint(ZONE, skew, minDomains=domains)]
    )
    judge = PodTopologySpread().pre_filter(pod, cluster).filter
    assert judge is not None
    counts: dict[str, int] = {}
    for zone, count in layout:
        if zone is not None:
            counts[zone] = counts.get(zone, 0) + count
    fewest = min(counts.values(), default=0) if len(counts) >= domains else 0
    for at, (zone, _) in enumerate(layout):
        status = judge(cluster.nodes_by_name[f"n{at}"])
        if zone is None:
            assert status is not None
            assert status.reasons == ("node(s) didn't match pod topology spread constraints (missing required label)",)
        else:
            assert (status is None) == (counts[zone] + like - fewest <= skew)


@given(NODES, st.integers(1, 3))
def test_scores_follow_the_counts(make_pod: Any, make_node: Any, make_cluster: Any, layout: Any, skew: int) -> None:
    cluster = build(make_pod, make_node, make_cluster, layout)
    soft = [constraint(ZONE, skew, hard=False), constraint(HOST, 1, hard=False)]
    pod = make_pod(labels={"app": "x"}, topologySpreadConstraints=soft)
    scores = PodTopologySpread().score(pod, cluster, cluster.nodes)
    assert scores is not None
    zones: dict[str, int] = {}
    for zone, count in layout:
        if zone is not None:
            zones[zone] = zones.get(zone, 0) + count
    hosts = sum(zone is not None for zone, _ in layout)
    raw = {}
    for at, (zone, count) in enumerate(layout):
        if zone is not None:
            total = zones[zone] * math.log(len(zones) + 2) + (skew - 1) + count * math.log(hosts + 2)
            raw[f"n{at}"] = math.floor(total + 0.5)
    highest, lowest = max(raw.values(), default=0), min(raw.values(), default=0)
    for node, score in zip(cluster.nodes, scores, strict=True):
        if node.name not in raw:
            assert score == 0
        elif highest == 0:
            assert score == 100
        else:
            assert score == 100 * (highest + lowest - raw[node.name]) // highest


def test_nodes_the_pod_cannot_use_do_not_count(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    taint = [{"key": "k", "effect": "NoSchedule"}]
    nodes = [
        make_node("a", labels={ZONE: "a", "use": "1"}),
        make_node("b", labels={ZONE: "b"}),
        make_node("c", labels={ZONE: "c", "use": "1"}, taints=taint),
    ]
    pods = [make_pod(f"p{i}", node="a", labels={"app": "x"}) for i in range(2)]
    cluster = make_cluster(nodes, pods)

    def passes(name: str, **more: Any) -> bool:
        wanted = [constraint(ZONE, 1, **more)]
        pod = make_pod(labels={"app": "x"}, nodeSelector={"use": "1"}, topologySpreadConstraints=wanted)
        judge = PodTopologySpread().pre_filter(pod, cluster).filter
        assert judge is not None
        return judge(cluster.nodes_by_name[name]) is None

    assert not passes("a")
    assert passes("c")
    assert passes("a", nodeTaintsPolicy="Honor")
    assert not passes("a", nodeTaintsPolicy="Honor", nodeAffinityPolicy="Ignore")


def test_services_and_controllers_spread_by_default(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    nodes = [make_node(name) for name in "ab"]
    cluster = make_cluster(nodes, [make_pod("r", node="a", labels={"app": "x"})])
    pod = make_pod(labels={"app": "x"})
    assert PodTopologySpread().score(pod, cluster, cluster.nodes) is None
    cluster.workloads.set_service("default", "s", {"spec": {"selector": {"app": "x"}}})
    scores = PodTopologySpread().score(pod, cluster, cluster.nodes)
    assert scores is not None
    assert scores[1] == 100 and scores[0] < 100
    cluster.workloads.set_service("default", "s", None)
    owned = make_pod(
        labels={"app": "x"},
        meta={"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "controller": True}]},
    )
    assert PodTopologySpread().score(owned, cluster, cluster.nodes) is None
    cluster.workloads.set_controller(
        "ReplicaSet", "default", "rs", {"spec": {"selector": {"matchLabels": {"app": "x"}}}}
    )
    owned_scores = PodTopologySpread().score(owned, cluster, cluster.nodes)
    assert owned_scores is not None and list(owned_scores) == list(scores)
