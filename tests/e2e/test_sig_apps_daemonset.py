"""The specification's [sig-apps] entries about DaemonSets and ControllerRevisions, each in a test of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.e2e.cluster import Cluster
from tests.e2e.sets import MERGE, Space, daemon_set, is_ready, template, version

SETS, PODS, REVISIONS = "daemonsets", "pods", "controllerrevisions"


@pytest.fixture
def space(cluster: Cluster, ns: str) -> Space:
    return Space(cluster, ns)


def the_node(space: Space) -> str:
    """The cluster has one node."""
    return str(space.rest.ok("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"])


def only(space: Space, app: str) -> Any:
    """The one ready pod of an app."""
    (pod,) = space.ready(app, 1).values()
    return pod


def test_a_simple_daemon_runs_and_is_revived(space: Space) -> None:
    """[sig-apps] Daemon set [Serial] should run and stop simple daemon"""
    space.create(SETS, daemon_set("simple"))
    pod = only(space, "simple")
    assert pod["spec"]["nodeName"] == the_node(space)
    space.delete(PODS, pod["metadata"]["name"])
    revived = space.until(lambda: other(space, "simple", pod), "the daemon is revived")
    assert revived["metadata"]["labels"]["pod-template-generation"] == "1"
    space.until(lambda: space.get(SETS, "simple")["status"].get("numberAvailable") == 1, "the status tells of it")
    space.delete(SETS, "simple")
    space.ready("simple", 0)


def other(space: Space, app: str, before: Any) -> Any:
    """A ready pod that is not the one of before."""
    uid = before["metadata"]["uid"]
    return next((pod for pod in space.pods(app).values() if is_ready(pod) and pod["metadata"]["uid"] != uid), None)


def test_a_daemon_follows_the_labels_of_nodes(space: Space) -> None:
    """[sig-apps] Daemon set [Serial] should run and stop complex daemon"""
    label = "e2e.example/daemon-colour"
    node = the_node(space)

    def paint(colour: str | None) -> None:
        patch = {"metadata": {"labels": {label: colour}}}
        space.rest.ok("PATCH", f"/api/v1/nodes/{node}", patch, Content_Type=MERGE)

    try:
        space.create(SETS, daemon_set("complex", template("complex", nodeSelector={label: "blue"})))
        space.until(lambda: "observedGeneration" in space.get(SETS, "complex")["status"], "the set is seen")
        assert space.get(SETS, "complex")["status"]["desiredNumberScheduled"] == 0
        assert not space.pods("complex")
        paint("blue")
        only(space, "complex")
        paint("green")
        space.ready("complex", 0)
        spec = {"template": {"spec": {"nodeSelector": {label: "green"}}}, "updateStrategy": {"type": "RollingUpdate"}}
        space.patch(SETS, "complex", {"spec": spec})
        only(space, "complex")
    finally:
        paint(None)
    space.ready("complex", 0)


def test_failed_daemon_pods_are_retried(space: Space) -> None:
    """[sig-apps] Daemon set [Serial] should retry creating failed daemon pods"""
    space.create(SETS, daemon_set("retried"))
    pod = only(space, "retried")
    name = pod["metadata"]["name"]
    failed = {"status": {"phase": "Failed"}}
    space.rest.ok("PATCH", space.path(PODS, f"{name}/status"), json.dumps(failed), Content_Type=MERGE)
    space.until(lambda: other(space, "retried", pod), "another pod has taken its place")
    space.until(lambda: name not in space.pods("retried"), "the failed pod is gone")


def test_a_changed_daemon_is_rolled_out(space: Space) -> None:
    """[sig-apps] Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate"""
    space.create(SETS, daemon_set("updated"))
    first = only(space, "updated")
    space.patch(SETS, "updated", {"spec": {"template": template("updated", "2")}})
    space.cluster.kubectl(
        "rollout", "status", "daemonset/updated", "-n", space.namespace, "--timeout=180s", timeout=200
    )
    second = only(space, "updated")
    assert (version(first), version(second)) == ("1", "2")
    label = "controller-revision-hash"
    hashes = {item["metadata"]["labels"][label]: item["revision"] for item in space.listed(REVISIONS, app="updated")}
    assert hashes[first["metadata"]["labels"][label]] == 1
    assert hashes[second["metadata"]["labels"][label]] == 2
    assert second["metadata"]["labels"]["pod-template-generation"] == "2"


def test_a_rollback_restarts_nothing_that_is_right(space: Space) -> None:
    """[sig-apps] Daemon set [Serial] should rollback without unnecessary restarts"""
    kubectl = space.cluster.kubectl
    space.create(SETS, daemon_set("undone", updateStrategy={"type": "OnDelete"}))
    pod = only(space, "undone")
    broken = template("undone", "broken", starts="")
    generation = space.patch(SETS, "undone", {"spec": {"template": broken}})["metadata"]["generation"]
    space.until(lambda: space.get(SETS, "undone")["status"]["observedGeneration"] == generation, "the change is seen")
    history = kubectl("rollout", "history", "daemonset/undone", "-n", space.namespace)
    assert [line.split()[0] for line in history.splitlines()[2:] if line.strip()] == ["1", "2"]
    space.patch(SETS, "undone", {"spec": {"updateStrategy": {"type": "RollingUpdate"}}})
    space.until(lambda: [version(item) for item in space.pods("undone").values()] == ["broken"], "it is broken")
    kubectl("rollout", "undo", "daemonset/undone", "-n", space.namespace)
    kubectl("rollout", "status", "daemonset/undone", "-n", space.namespace, "--timeout=180s", timeout=200)
    again = only(space, "undone")
    assert version(again) == "1"
    assert again["metadata"]["labels"]["controller-revision-hash"] == hash_of(pod)

    # The way back to what every pod is already: no pod may notice.
    space.patch(SETS, "undone", {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
    space.patch(SETS, "undone", {"spec": {"template": broken}})
    last = space.patch(SETS, "undone", {"spec": {"template": template("undone")}})["metadata"]["generation"]
    space.until(lambda: space.get(SETS, "undone")["status"]["observedGeneration"] == last, "the way back is seen")
    space.until(lambda: space.get(SETS, "undone")["status"].get("updatedNumberScheduled") == 1, "the pod counts as new")
    assert only(space, "undone")["metadata"]["uid"] == again["metadata"]["uid"]


def hash_of(pod: Any) -> Any:
    return pod["metadata"]["labels"]["controller-revision-hash"]


def test_collections_of_daemon_sets(space: Space) -> None:
    """[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets"""
    space.create(SETS, daemon_set("collected"))
    only(space, "collected")
    found = space.rest.ok("GET", "/apis/apps/v1/daemonsets?labelSelector=app%3Dcollected")["items"]
    assert [item["metadata"]["name"] for item in found] == ["collected"]
    space.rest.ok("DELETE", space.path(SETS) + "?labelSelector=app%3Dcollected")
    space.until(lambda: not space.listed(SETS, app="collected"), "the collection is gone")
    space.ready("collected", 0)


def test_status_endpoints(space: Space) -> None:
    """[sig-apps] Daemon set [Serial] should verify changes to a daemon set status"""
    space.create(SETS, daemon_set("told"))
    only(space, "told")
    space.until(lambda: space.get(SETS, "told")["status"].get("numberAvailable") == 1, "the status has come to rest")
    before = space.get(SETS, "told/status")
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}
    before["status"]["conditions"] = [condition]
    updated = space.rest.ok("PUT", space.path(SETS, "told/status"), before)
    assert updated["status"]["conditions"][0]["type"] == "StatusUpdate"
    patch = {"status": {"conditions": [{**condition, "type": "StatusPatched"}]}}
    patched = space.rest.ok("PATCH", space.path(SETS, "told/status"), json.dumps(patch), Content_Type=MERGE)
    assert [item["type"] for item in patched["status"]["conditions"]] == ["StatusPatched"]
    seen = space.rest.watch(
        f"{space.path(SETS)}?resourceVersion={before['metadata']['resourceVersion']}&labelSelector=app%3Dtold", 2
    )
    kinds = [event["object"]["status"]["conditions"][0]["type"] for event in seen]
    assert kinds == ["StatusUpdate", "StatusPatched"]
    assert space.get(SETS, "told")["status"]["conditions"][0]["type"] == "StatusPatched"


def test_the_life_of_a_revision(space: Space) -> None:
    """[sig-apps] ControllerRevision [Serial] should manage the lifecycle of a ControllerRevision"""
    space.create(SETS, daemon_set("history", updateStrategy={"type": "OnDelete"}))
    only(space, "history")
    (first,) = space.listed(REVISIONS, app="history")
    name = first["metadata"]["name"]
    patched = space.patch(REVISIONS, name, {"metadata": {"labels": {name: "patched"}}})
    assert patched["metadata"]["labels"][name] == "patched"

    # The same once more, as clients write it: the data is a text, and with blanks in it no one could change anything.
    meta = {"generateName": "history-", "labels": first["metadata"]["labels"]}
    meta["ownerReferences"] = first["metadata"]["ownerReferences"]
    made = {"metadata": meta, "data": first["data"], "revision": first["revision"] + 1}
    second = space.create(REVISIONS, json.dumps(made, separators=(",", ":")))["metadata"]["name"]
    assert names(space, "history") == {name, second}
    space.delete(REVISIONS, name)
    space.until(lambda: names(space, "history") == {second}, "the first revision is gone")

    path = space.path(REVISIONS, second)
    current = space.rest.ok("GET", path)
    current["metadata"]["labels"][second] = "updated"
    updated = space.rest.ok("PUT", path, json.dumps(current, separators=(",", ":")))
    assert updated["metadata"]["labels"][second] == "updated"

    changed = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    space.patch(SETS, "history", changed)
    space.until(lambda: len(names(space, "history")) == 2, "the changed template has a revision")
    space.rest.ok("DELETE", space.path(REVISIONS) + f"?labelSelector={second}%3Dupdated")
    space.until(lambda: len(names(space, "history")) == 1, "one revision is left")
    (left,) = space.listed(REVISIONS, app="history")
    assert left["revision"] == 3


def names(space: Space, app: str) -> set[str]:
    return {item["metadata"]["name"] for item in space.listed(REVISIONS, app=app)}
