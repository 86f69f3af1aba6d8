from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.scheduler.plugins.inter_pod_affinity import InterPodAffinity

ZONE = "zone"
APPS = st.sampled_from("xyz")


def term(app: str, key: str) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}


TERMS = st.lists(st.builds(term, APPS, st.sampled_from([ZONE, "kubernetes.io/hostname"])), max_size=2)
WEIGHTED = st.lists(
    st.builds(
        lambda t, w: {"weight": w, "podAffinityTerm": t}, st.builds(term, APPS, st.just(ZONE)), st.integers(1, 9)
    ),
    max_size=2,
)


def affinity(near: Any = (), far: Any = (), soft_near: Any = (), soft_far: Any = ()) -> dict[str, Any]:
    required, preferred = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    )
    return {
        "podAffinity": {required: list(near), preferred: list(soft_near)},
        "podAntiAffinity": {required: list(far), preferred: list(soft_far)},
    }


AFFINITIES = st.builds(affinity, TERMS, TERMS, WEIGHTED, WEIGHTED)
NODES = st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=4)
RUNNING = st.lists(st.tuples(st.integers(0, 3), APPS, AFFINITIES), max_size=5)


def cluster_of(make_pod: Any, make_node: Any, make_cluster: Any, zones: Any, running: Any) -> Any:
    nodes = [make_node(f"n{i}", labels={ZONE: zone} if zone else {}) for i, zone in enumerate(zones)]
    pods = [
        make_pod(f"r{i}", node=f"n{at % len(zones)}", labels={"app": app}, affinity=wanted)
        for i, (at, app, wanted) in enumerate(running)
    ]
    return make_cluster(nodes, pods)


def means(one: dict[str, Any], pod: Any) -> bool:
    return bool(one["labelSelector"]["matchLabels"]["app"] == pod.labels["app"])


def together(one: dict[str, Any], left: Any, right: Any) -> bool:
    key = one["topologyKey"]
    return key in left.labels and left.labels.get(key) == right.labels.get(key)


def terms_of(pod: Any, kind: str, when: str) -> list[Any]:
    return list(
        ((pod.spec.get("affinity") or {}).get(kind) or {}).get(f"{when}DuringSchedulingIgnoredDuringExecution", [])
    )


def expected_reason(pod: Any, node: Any, cluster: Any) -> str:
    running = [(other, at) for at in cluster.nodes for other in at.pods.values()]
    near, far = terms_of(pod, "podAffinity", "required"), terms_of(pod, "podAntiAffinity", "required")
    full = [(other, at) for other, at in running if all(means(t, other) for t in near)]
    if near:
        met = all(any(together(t, node, at) for _, at in full) for t in near)
        nobody = not any(t["topologyKey"] in at.labels for _, at in full for t in near)
        alone = nobody and all(means(t, pod) for t in near)
        if not all(t["topologyKey"] in node.labels for t in near) or not (met or alone):
            return "node(s) didn't match pod affinity rules"
    if any(means(t, other) and together(t, node, at) for other, at in running for t in far):
        return "node(s) didn't match pod anti-affinity rules"
    for other, at in running:
        if any(means(t, pod) and together(t, node, at) for t in terms_of(other, "podAntiAffinity", "required")):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
    return ""


@given(NODES, RUNNING, APPS, AFFINITIES)
def test_filter(
    make_pod: Any, make_node: Any, make_cluster: Any, zones: Any, running: Any, app: str, wanted: Any
) -> None:
    cluster = cluster_of(make_pod, make_node, make_cluster, zones, running)
    pod = make_pod(labels={"app": app}, affinity=wanted)
    result = InterPodAffinity().pre_filter(pod, cluster)
    for node in cluster.nodes:
        status = result.filter(node) if result.filter else None
        assert (status.reasons[0] if status else "") == expected_reason(pod, node, cluster)


def expected_raw(pod: Any, node: Any, cluster: Any) -> int:
    total = 0
    for at in cluster.nodes:
        for other in at.pods.values():
            for sign, kind in ((1, "podAffinity"), (-1, "podAntiAffinity")):
                for holder, target in ((pod, other), (other, pod)):
                    for item in terms_of(holder, kind, "preferred"):
                        if means(item["podAffinityTerm"], target) and together(item["podAffinityTerm"], node, at):
                            total += sign * item["weight"]
            hard = terms_of(other, "podAffinity", "required")
            total += sum(means(t, pod) and together(t, node, at) for t in hard)
    return total


@given(NODES, RUNNING, APPS, AFFINITIES)
def test_score(
    make_pod: Any, make_node: Any, make_cluster: Any, zones: Any, running: Any, app: str, wanted: Any
) -> None:
    cluster = cluster_of(make_pod, make_node, make_cluster, zones, running)
    pod = make_pod(labels={"app": app}, affinity=wanted)
    scores = InterPodAffinity().score(pod, cluster, cluster.nodes)
    raw = [expected_raw(pod, node, cluster) for node in cluster.nodes]
    if scores is None:
        assert set(raw) == {0}
        return
    spread = max(raw) - min(raw)
    assert list(scores) == [int(100 * ((value - min(raw)) / spread)) if spread else 0 for value in raw]


def test_namespaces(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    there = make_pod("r", node="n", labels={"app": "x"}, namespace="other")
    cluster = make_cluster([make_node("n")], [there])
    cluster.set_namespace("other", {"metadata": {"labels": {"team": "t"}}})

    def refused(**more: Any) -> bool:
        pod = make_pod(labels={"app": "x"}, affinity=affinity(far=[{**term("x", "kubernetes.io/hostname"), **more}]))
        judge = InterPodAffinity().pre_filter(pod, cluster).filter
        return judge is not None and judge(cluster.nodes[0]) is not None

    assert not refused()
    assert refused(namespaces=["other"])
    assert refused(namespaceSelector={})
    assert refused(namespaceSelector={"matchLabels": {"team": "t"}})
    assert not refused(namespaceSelector={"matchLabels": {"team": "u"}})
