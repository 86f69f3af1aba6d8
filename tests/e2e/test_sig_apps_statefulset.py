"""The specification's [sig-apps] entries about StatefulSets, each in a test of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.cluster import Cluster
from tests.e2e.sets import MERGE, Space, is_ready, stateful_set, template, versions

SETS, PODS = "statefulsets", "pods"
NEVER_READY = ""


@pytest.fixture
def space(cluster: Cluster, ns: str) -> Space:
    return Space(cluster, ns)


def rolling(partition: int) -> Any:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}}


def test_burst_scaling_does_not_wait_for_unhealthy_pods(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Burst scaling should run to completion
    even with unhealthy pods
    """
    made = stateful_set("burst", 1, podManagementPolicy="Parallel")
    space.create(SETS, made)
    space.ready("burst", 1)
    space.break_pod("burst-0")
    space.patch(SETS, "burst", {"spec": {"replicas": 3}})
    space.until(lambda: len(space.pods("burst")) == 3, "all pods are there")
    space.until(lambda: is_ready(space.get(PODS, "burst-2")), "the last pod is ready")
    space.break_pod("burst-1")
    space.patch(SETS, "burst", {"spec": {"replicas": 0}})
    space.ready("burst", 0)
    space.until(lambda: space.get(SETS, "burst")["status"]["replicas"] == 0, "the status tells of no pod")


def test_scaling_keeps_its_order_and_halts_at_unhealthy_pods(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Scaling should happen in predictable
    order and halt if any stateful pod is unhealthy
    """
    before = space.version()
    space.create(SETS, stateful_set("ordered", 1))
    space.ready("ordered", 1)
    space.break_pod("ordered-0")
    generation = space.patch(SETS, "ordered", {"spec": {"replicas": 2}})["metadata"]["generation"]
    halted(space, "ordered", generation, 1)
    space.mend_pod("ordered-0")
    space.ready("ordered", 2)
    assert space.order("ADDED", "ordered", before, 2) == ["ordered-0", "ordered-1"]

    for name in ("ordered-0", "ordered-1"):
        space.break_pod(name)
    before = space.version()
    generation = space.patch(SETS, "ordered", {"spec": {"replicas": 0}})["metadata"]["generation"]
    halted(space, "ordered", generation, 2)
    space.mend_pod("ordered-1")
    space.ready("ordered", 0)
    assert space.order("DELETED", "ordered", before, 2) == ["ordered-1", "ordered-0"]


def halted(space: Space, name: str, generation: int, pods: int) -> None:
    """The controller has seen a change, and has done nothing about it."""
    space.until(lambda: space.get(SETS, name)["status"].get("observedGeneration") == generation, "the change is seen")
    found = space.pods(name)
    assert len(found) == pods
    assert not any("deletionTimestamp" in pod["metadata"] for pod in found.values())


def test_a_pod_that_its_node_rejects_is_made_again(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] Should recreate evicted statefulset"""
    node = space.rest.ok("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    spec = template("rejected", nodeName=node)["spec"]
    spec["containers"][0]["ports"] = [{"containerPort": 21017, "hostPort": 21017}]
    space.create(PODS, {"metadata": {"name": "blocker"}, "spec": spec})
    space.until(lambda: is_ready(space.get(PODS, "blocker")), "the port is taken")
    space.create(SETS, stateful_set("rejected", 1, {"metadata": {"labels": {"app": "rejected"}}, "spec": spec}))
    seen: set[str] = set()

    def made_again() -> bool:
        seen.update(pod["metadata"]["uid"] for pod in space.pods("rejected").values())
        return len(seen) > 1

    space.until(made_again, "the rejected pod is made again")
    space.delete(PODS, "blocker")
    space.ready("rejected", 1)


def test_the_scale_subresource(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should have a working scale
    subresource
    """
    space.create(SETS, stateful_set("scaled", 1))
    space.ready("scaled", 1)
    scale = space.get(SETS, "scaled/scale")
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (1, "app=scaled")
    scale["spec"]["replicas"] = 2
    assert space.rest.ok("PUT", space.path(SETS, "scaled/scale"), scale)["spec"]["replicas"] == 2
    assert space.get(SETS, "scaled")["spec"]["replicas"] == 2
    space.ready("scaled", 2)
    assert space.patch(SETS, "scaled/scale", {"spec": {"replicas": 3}})["spec"]["replicas"] == 3
    space.ready("scaled", 3)
    space.until(lambda: space.get(SETS, "scaled/scale")["status"]["replicas"] == 3, "the scale tells of three pods")


def test_collections_of_stateful_sets(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should list, patch and delete a
    collection of StatefulSets
    """
    space.create(SETS, stateful_set("listed", 1))
    space.ready("listed", 1)
    found = space.rest.ok("GET", "/apis/apps/v1/statefulsets?labelSelector=app%3Dlisted")["items"]
    assert [item["metadata"]["name"] for item in found] == ["listed"]
    spec = {"replicas": 2, "template": {"spec": {"terminationGracePeriodSeconds": 1}}}
    patched = space.patch(SETS, "listed", {"metadata": {"labels": {"patched": "yes"}}, "spec": spec})
    assert (patched["metadata"]["labels"]["patched"], patched["spec"]["replicas"]) == ("yes", 2)
    space.ready("listed", 2)
    space.rest.ok("DELETE", space.path(SETS) + "?labelSelector=patched%3Dyes")
    space.until(lambda: not space.listed(SETS, patched="yes"), "the collection is gone")
    space.ready("listed", 0)


def test_canaries_and_phased_rollouts(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform canary updates and
    phased rolling updates of template modifications
    """
    space.create(SETS, stateful_set("phased", 3, **rolling(3)))
    space.ready("phased", 3)
    first = space.get(SETS, "phased")["status"]["currentRevision"]
    generation = space.patch(SETS, "phased", {"spec": {"template": template("phased", "2")}})["metadata"]["generation"]
    space.until(lambda: space.get(SETS, "phased")["status"]["observedGeneration"] == generation, "the change is seen")
    status = space.get(SETS, "phased")["status"]
    assert status["currentRevision"] == first != status["updateRevision"]
    assert set(versions(space.pods("phased")).values()) == {"1"}

    space.patch(SETS, "phased", {"spec": rolling(2)})
    expect(space, "phased", {"phased-0": "1", "phased-1": "1", "phased-2": "2"})
    for name in ("phased-0", "phased-2"):
        space.delete(PODS, name)
    expect(space, "phased", {"phased-0": "1", "phased-1": "1", "phased-2": "2"})
    space.patch(SETS, "phased", {"spec": rolling(1)})
    expect(space, "phased", {"phased-0": "1", "phased-1": "2", "phased-2": "2"})
    space.patch(SETS, "phased", {"spec": rolling(0)})
    expect(space, "phased", {"phased-0": "2", "phased-1": "2", "phased-2": "2"})
    second = status["updateRevision"]
    space.until(lambda: space.get(SETS, "phased")["status"]["currentRevision"] == second, "the rollout is complete")
    revisions = {pod["metadata"]["labels"]["controller-revision-hash"] for pod in space.pods("phased").values()}
    assert revisions == {second}


def expect(space: Space, name: str, wanted: dict[str, str]) -> None:
    """Wait until the ready pods are of these templates."""

    def as_wanted() -> bool:
        pods = space.pods(name)
        return versions(pods) == wanted and all(map(is_ready, pods.values()))

    space.until(as_wanted, f"pods are {wanted}")


def test_rolling_updates_and_roll_backs(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should perform rolling updates and roll
    backs of template modifications
    """
    space.create(SETS, stateful_set("rolled", 2))
    space.ready("rolled", 2)
    status = space.get(SETS, "rolled")["status"]
    first = status["currentRevision"]
    assert status["updateRevision"] == first
    space.break_pod("rolled-1")
    space.patch(SETS, "rolled", {"spec": {"template": template("rolled", "2")}})
    space.until(lambda: space.get(SETS, "rolled")["status"]["updateRevision"] != first, "there is a new revision")
    assert space.get(SETS, "rolled")["status"]["currentRevision"] == first
    space.mend_pod("rolled-1")
    expect(space, "rolled", {"rolled-0": "2", "rolled-1": "2"})
    status = space.until(lambda: complete(space, "rolled"), "the rollout is complete")
    assert status["updateRevision"] == status["currentRevision"] != first

    kubectl = space.cluster.kubectl
    history = kubectl("rollout", "history", "statefulset/rolled", "-n", space.namespace)
    assert [line.split()[0] for line in history.splitlines()[2:] if line.strip()] == ["1", "2"]
    kubectl("rollout", "undo", "statefulset/rolled", "-n", space.namespace)
    kubectl("rollout", "status", "statefulset/rolled", "-n", space.namespace, "--timeout=180s", timeout=200)
    expect(space, "rolled", {"rolled-0": "1", "rolled-1": "1"})
    status = space.until(lambda: complete(space, "rolled"), "the way back is complete")
    assert status["updateRevision"] == status["currentRevision"] == first
    assert len(space.listed("controllerrevisions", app="rolled")) == 2


def complete(space: Space, name: str) -> Any:
    found = space.get(SETS, name)
    status = found["status"]
    seen = status["observedGeneration"] == found["metadata"]["generation"]
    done = status["currentRevision"] == status["updateRevision"] and status.get("updatedReplicas") == 2
    return status if seen and done else None


def test_status_endpoints(space: Space) -> None:
    """[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should validate Statefulset Status
    endpoints
    """
    space.create(SETS, stateful_set("told", 1))
    space.ready("told", 1)
    status = space.until(lambda: settled(space, "told"), "the status has come to rest")
    before = space.get(SETS, "told/status")
    assert before["status"]["readyReplicas"] == 1
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    before["status"]["conditions"] = [condition]
    updated = space.rest.ok("PUT", space.path(SETS, "told/status"), before)
    assert updated["status"]["conditions"][0]["type"] == "StatusUpdate"
    patch = {"status": {"conditions": [{**condition, "type": "StatusPatched"}]}}
    patched = space.rest.ok("PATCH", space.path(SETS, "told/status"), json.dumps(patch), Content_Type=MERGE)
    assert [item["type"] for item in patched["status"]["conditions"]] == ["StatusPatched"]
    version = before["metadata"]["resourceVersion"]
    seen = space.rest.watch(f"{space.path(SETS)}?resourceVersion={version}&labelSelector=app%3Dtold", 2)
    kinds = [event["object"]["status"]["conditions"][0]["type"] for event in seen]
    assert kinds == ["StatusUpdate", "StatusPatched"]
    assert space.get(SETS, "told")["status"]["currentRevision"] == status["currentRevision"]


def settled(space: Space, name: str) -> Any:
    status = space.get(SETS, name)["status"]
    return status if status.get("availableReplicas") == 1 and status.get("readyReplicas") == 1 else None
