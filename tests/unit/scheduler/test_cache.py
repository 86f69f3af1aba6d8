from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.labels import EVERYTHING
from knarr.scheduler.cache import Cache


def test_zones_take_turns(make_node: Any, make_cluster: Any) -> None:
    zone = "topology.kubernetes.io/zone"
    nodes = [
        make_node(f"{z}{i}", labels={zone: z}) for z, count in (("a", 3), ("b", 1), ("c", 2)) for i in range(count)
    ]
    cluster = make_cluster(nodes)
    assert [node.name for node in cluster.nodes] == ["a0", "b0", "c0", "a1", "c1", "a2"]
    cluster.set_node("a0", None)
    assert [node.name for node in cluster.nodes] == ["a1", "b0", "c0", "a2", "c1"]


def test_an_assumed_pod_stays_until_the_watch_confirms_or_the_binding_fails(
    make_pod: Any, make_node: Any, make_cluster: Any
) -> None:
    cluster = make_cluster([make_node("a")])
    cluster.assume(make_pod(cpu="1"), "a")
    cluster.set_pod(make_pod(cpu="1"))  # an update that does not know of the binding yet
    assert cluster.nodes_by_name["a"].cpu == 1000 and cluster.is_assumed("uid-p")
    cluster.set_pod(make_pod(node="a", cpu="1"))
    assert cluster.nodes_by_name["a"].cpu == 1000 and not cluster.is_assumed("uid-p")
    cluster.remove_pod("uid-p")
    assert cluster.nodes_by_name["a"].cpu == 0


def test_a_pod_that_ended_takes_no_room(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node("a")], [make_pod(node="a", cpu="1")])
    cluster.set_pod(make_pod(node="a", cpu="1", status={"phase": "Succeeded"}))
    assert cluster.nodes_by_name["a"].cpu == 0 and not cluster.nodes_by_name["a"].pods


def test_pods_before_their_node(make_pod: Any, make_node: Any) -> None:
    cluster = Cache()
    cluster.set_pod(make_pod(node="late", cpu="1"))
    assert not cluster.nodes
    cluster.set_node("late", make_node("late"))
    assert cluster.nodes[0].cpu == 1000
    cluster.set_node("late", None)
    assert not cluster.nodes and cluster.nodes_by_name["late"].pods
    cluster.remove_pod("uid-p")
    assert not cluster.nodes_by_name


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "assume", "remove", "node", "gone"]),
        st.sampled_from("pqr"),
        st.sampled_from("ab"),
        st.integers(0, 3),
    ),
    max_size=25,
)


@given(STEPS)
def test_sums_are_those_of_the_pods(make_pod: Any, make_node: Any, steps: list[tuple[str, str, str, int]]) -> None:
    cluster = Cache()
    image = [{"names": ["app"], "sizeBytes": 5}]
    term = {"topologyKey": "z", "labelSelector": {}}
    anti = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for action, name, node, size in steps:
        ports = [{"hostPort": 80 + size}]
        container = {"name": "c", "image": "app", "ports": ports, "resources": {"requests": {"cpu": size, "x/y": size}}}
        pod = make_pod(name, node=node, containers=[container], affinity=anti if size == 2 else {})
        if action == "set":
            cluster.set_pod(pod)
        elif action == "assume":
            cluster.assume(pod, node)
        elif action == "remove":
            cluster.remove_pod(pod.uid)
        else:
            cluster.set_node(node, make_node(node, images=image) if action == "node" else None)
        for info in cluster.nodes_by_name.values():
            assert info.cpu == sum(p.cpu for p in info.pods.values())
            assert info.nominal_memory == sum(p.nominal_memory for p in info.pods.values())
            assert info.others.get("x/y", 0) == sum(p.others.get("x/y", 0) for p in info.pods.values())
            ports_used = {port for (_, port), users in info.used_ports.items() if users}
            assert ports_used == {p.host_ports[0][2] for p in info.pods.values()}
        there = [(info.name, p) for info in cluster.nodes_by_name.values() for p in info.pods.values()]
        labelled = list(cluster.groups.selected("default", EVERYTHING))
        assert sum(sum(group.nodes.values()) for group in labelled) == len(there)
        affine = {name for name, p in there if p.anti_affinity_terms}
        for index in (cluster.groups.with_affinity, cluster.groups.with_anti_affinity):
            assert {name for group in index.values() for name in group.nodes} == affine
        assert cluster.image_nodes.get("app:latest", 0) == sum("app:latest" in n.images for n in cluster.nodes)
