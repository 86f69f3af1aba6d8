from __future__ import annotations

from typing import Any

import pytest

from knarr.scheduler import cycle, profile
from knarr.scheduler.cycle import Settings, enough, schedule
from knarr.scheduler.diagnosis import FitError, NoNodesError

SETTINGS = Settings(profile.DEFAULT, pick=lambda n: n - 1)


def failure(pod: Any, cluster: Any) -> FitError:
    with pytest.raises(FitError) as error:
        schedule(pod, cluster, SETTINGS)
    return error.value


def test_emptiest_node_wins(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node("a"), make_node("b")], [make_pod("x", node="a", cpu="1", memory="1Gi")])
    decision = schedule(make_pod(cpu="1", memory="1Gi"), cluster, SETTINGS)
    assert (decision.node_name, decision.feasible, decision.searched) == ("b", 2, 2)


def test_ties_are_broken_by_the_given_choice(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node(name) for name in "abc"])
    picks = iter(range(3))
    settings = Settings(profile.DEFAULT, lambda _: next(picks))
    assert [schedule(make_pod(), cluster, settings).node_name for _ in range(3)] == ["a", "b", "c"]


def test_no_nodes(make_pod: Any, make_cluster: Any) -> None:
    with pytest.raises(NoNodesError, match="^no nodes available to schedule pods$"):
        schedule(make_pod(), make_cluster([]), SETTINGS)


def test_message_counts_reasons(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    taint = [{"key": "k", "effect": "NoSchedule"}]
    nodes = [make_node("a", cpu="1"), make_node("b", taints=taint), make_node("c", taints=taint)]
    error = failure(make_pod(cpu="2"), make_cluster(nodes))
    assert str(error) == "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s)."
    assert error.diagnosis.plugins == {"NodeResourcesFit", "TaintToleration"}
    both = failure(make_pod(cpu="9", memory="99Gi"), make_cluster([make_node("a"), make_node("b", pods="0")]))
    assert str(both) == "0/2 nodes are available: 1 Too many pods, 2 Insufficient cpu, 2 Insufficient memory."


def test_message_of_named_nodes(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    def named(*names: str) -> dict[str, Any]:
        fields = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in names]
        terms = {"nodeSelectorTerms": [{"matchFields": fields}]}
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}

    cluster = make_cluster([make_node("a", unschedulable=True), make_node("b"), make_node("c")])
    assert schedule(make_pod(affinity=named("b")), cluster, SETTINGS).searched == 1
    refused = failure(make_pod(affinity=named("a")), cluster)
    assert str(refused) == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )
    absent = failure(make_pod(affinity=named("z")), cluster)
    assert str(absent) == "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    conflict = failure(make_pod(affinity=named("a", "b")), cluster)
    assert str(conflict) == "0/3 nodes are available: pod affinity terms conflict."


def test_enough_sinks_with_the_number_of_nodes() -> None:
    assert [enough(n) for n in (0, 10, 99, 100, 1000, 5000, 10000)] == [0, 10, 99, 100, 420, 500, 500]
    assert enough(1000, 30) == 300
    assert enough(1000, 1) == 100
    assert enough(1000, 100) == 1000


def test_the_search_goes_round(make_pod: Any, make_node: Any, make_cluster: Any) -> None:
    cluster = make_cluster([make_node(f"n{i}") for i in range(300)])
    start, seen = 0, set()
    for _ in range(3):
        decision = schedule(make_pod(), cluster, Settings(profile.DEFAULT, lambda _: 0), start)
        assert decision.searched == enough(300)
        seen.add(start)
        start = decision.next_start
    assert len(seen) == 3


def test_weights_are_those_of_kube_scheduler() -> None:
    assert {plugin.name: weight for plugin, weight in profile.DEFAULT.scores} == {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "NodeResourcesFit": 1,
        "PodTopologySpread": 2,
        "InterPodAffinity": 2,
        "NodeResourcesBalancedAllocation": 1,
        "ImageLocality": 1,
    }
    assert cycle.MIN_FEASIBLE == 100
