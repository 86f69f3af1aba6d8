"""The specification's [sig-apps] entries about ReplicaSets and ReplicationControllers, each in a test of its own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.e2e.apps import SERVE, Apps, owners, pod, replica_set, replication_controller, template


def make(apps: Apps, plural: str, name: str, replicas: int, made: Any = None) -> Any:
    build = replica_set if plural == "replicasets" else replication_controller
    return apps.create(plural, build(name, replicas, made))


def condition(obj: Any, kind: str) -> Any:
    return next((item for item in (obj.get("status") or {}).get("conditions") or () if item["type"] == kind), None)


def serve(apps: Apps, plural: str) -> None:
    make(apps, plural, "basic", 2, template("basic", SERVE))
    for item in apps.wait_for_pods(2):
        name = item["metadata"]["name"]
        path = apps.path("pods", f"{name}:8080", "proxy/")
        apps.wait(lambda path=path, name=name: str(apps.rest("GET", path)[1]).strip() == name, "the pod tells its name")  # type: ignore[misc]


def scale(apps: Apps, plural: str) -> None:
    make(apps, plural, "sized", 1)
    apps.wait_for_pods(1)
    found = apps.get(plural, "sized", "scale")
    assert found["spec"]["replicas"] == 1
    found["spec"]["replicas"] = 2
    assert apps.put(plural, found, "scale")["spec"]["replicas"] == 2
    apps.wait_for_pods(2)
    assert apps.patch(plural, "sized", {"spec": {"replicas": 3}}, "scale")["spec"]["replicas"] == 3
    apps.wait_for_pods(3)
    apps.wait(
        lambda: apps.get(plural, "sized")["status"].get("availableReplicas") == 3, "the status tells of all three"
    )


def adopt(apps: Apps, plural: str) -> None:
    before = apps.create("pods", pod("adopted", "orphan"))
    make(apps, plural, "orphan", 1)
    apps.wait(lambda: owners(apps.get("pods", "adopted")) == ["orphan"], "the pod is adopted")
    (left,) = apps.wait_for_pods(1)
    assert left["metadata"]["uid"] == before["metadata"]["uid"]


def release(apps: Apps, plural: str) -> None:
    make(apps, plural, "loose", 1)
    (mine,) = apps.wait_for_pods(1)
    name = mine["metadata"]["name"]
    apps.patch("pods", name, {"metadata": {"labels": {"app": "other"}}})
    apps.wait(lambda: not owners(apps.get("pods", name)), "the pod is let go")
    apps.wait(lambda: len(apps.list("pods", app="loose")) == 1, "another takes its place")


@pytest.mark.rootless
def test_replica_set_replace_and_patch(paper_apps: Apps) -> None:
    """[sig-apps] ReplicaSet Replace and Patch tests"""
    make(paper_apps, "replicasets", "rs", 1)
    paper_apps.wait_for_pods(1)
    found = paper_apps.get("replicasets", "rs")
    found["spec"]["replicas"] = 2
    found.pop("status")
    found["metadata"].pop("resourceVersion")
    paper_apps.put("replicasets", found)
    paper_apps.wait_for_pods(2)
    patch = {"metadata": {"labels": {"test-rs": "patched"}}, "spec": {"replicas": 3}}
    assert paper_apps.patch("replicasets", "rs", patch)["metadata"]["labels"]["test-rs"] == "patched"
    paper_apps.wait_for_pods(3)
    paper_apps.wait(
        lambda: paper_apps.get("replicasets", "rs")["status"].get("readyReplicas") == 3, "the status tells of all three"
    )


@pytest.mark.rootless
def test_replica_set_scale(paper_apps: Apps) -> None:
    """[sig-apps] ReplicaSet Replicaset should have a working scale subresource"""
    scale(paper_apps, "replicasets")


@pytest.mark.rootless
def test_replica_set_adopts_and_releases(paper_apps: Apps) -> None:
    """[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods"""
    adopt(paper_apps, "replicasets")
    paper_apps.patch("pods", "adopted", {"metadata": {"labels": {"app": "other"}}})
    paper_apps.wait(lambda: not owners(paper_apps.get("pods", "adopted")), "the pod is let go")


@pytest.mark.rootless
def test_replica_sets_listed_and_deleted(paper_apps: Apps) -> None:
    """[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets"""
    for name in ("one", "two", "three"):
        made = replica_set(name, 1)
        made["metadata"]["labels"] = {"e2e": "many", "app": name}
        paper_apps.create("replicasets", made)
    assert len(paper_apps.list("replicasets", e2e="many")) == 3
    paper_apps.delete("replicasets", query="?labelSelector=e2e%3Dmany")
    paper_apps.wait(
        lambda: not paper_apps.list("replicasets") + paper_apps.list("pods"), "all are gone with their pods"
    )


def test_replica_set_serves(apps: Apps) -> None:
    """[sig-apps] ReplicaSet should serve a basic image on each replica with a public image"""
    serve(apps, "replicasets")


@pytest.mark.rootless
def test_replica_set_status(paper_apps: Apps) -> None:
    """[sig-apps] ReplicaSet should validate Replicaset Status endpoints"""
    make(paper_apps, "replicasets", "told", 1)
    paper_apps.wait_for_pods(1)
    told = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

    def kept(kind: str) -> Any:
        return condition(paper_apps.get("replicasets", "told", "status"), kind)

    def updated() -> bool:
        now = paper_apps.get("replicasets", "told", "status")
        now["status"].setdefault("conditions", []).append(told)
        return paper_apps.rest("PUT", paper_apps.path("replicasets", "told", "status"), now)[0] == 200

    paper_apps.wait(updated, "the status is written")
    assert kept("StatusUpdate")["message"] == "Set from e2e test"
    paper_apps.patch("replicasets", "told", {"status": {"conditions": [{**told, "type": "StatusPatched"}]}}, "status")
    paper_apps.wait(lambda: kept("StatusPatched"), "the patched condition stands")


@pytest.mark.rootless
def test_controller_adopts(paper_apps: Apps) -> None:
    """[sig-apps] ReplicationController should adopt matching pods on creation"""
    adopt(paper_apps, "replicationcontrollers")


@pytest.mark.rootless
def test_controller_scale(paper_apps: Apps) -> None:
    """[sig-apps] ReplicationController should get and update a ReplicationController scale"""
    scale(paper_apps, "replicationcontrollers")


@pytest.mark.rootless
def test_controller_releases(paper_apps: Apps) -> None:
    """[sig-apps] ReplicationController should release no longer matching pods"""
    release(paper_apps, "replicationcontrollers")


def test_controller_serves(apps: Apps) -> None:
    """[sig-apps] ReplicationController should serve a basic image on each replica with a public image"""
    serve(apps, "replicationcontrollers")


@pytest.mark.rootless
def test_controller_beyond_quota(paper_apps: Apps) -> None:
    """[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota"""
    paper_apps.create("resourcequotas", {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}})
    paper_apps.wait(
        lambda: (paper_apps.get("resourcequotas", "two").get("status") or {}).get("hard"), "the quota is counted"
    )
    make(paper_apps, "replicationcontrollers", "many", 3)

    def failure() -> Any:
        return condition(paper_apps.get("replicationcontrollers", "many"), "ReplicaFailure")

    found = paper_apps.wait(failure, "the failure is told")
    assert (found["status"], found["reason"]) == ("True", "FailedCreate")
    assert "exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2" in found["message"]
    paper_apps.patch("replicationcontrollers", "many", {"spec": {"replicas": 2}})
    paper_apps.wait(lambda: not failure(), "nothing fails any more")
    assert len(paper_apps.pods()) == 2


@pytest.mark.rootless
def test_controller_lifecycle(paper_apps: Apps) -> None:
    """[sig-apps] ReplicationController should test the lifecycle of a ReplicationController"""
    made = replication_controller("life", 1)
    made["metadata"]["labels"] = {"test-rc-static": "true"}
    paper_apps.create("replicationcontrollers", made)
    paper_apps.wait_for_pods(1)
    patched = paper_apps.patch("replicationcontrollers", "life", {"metadata": {"labels": {"test-rc": "patched"}}})
    assert patched["metadata"]["labels"]["test-rc"] == "patched"
    found = paper_apps.rest.ok("GET", "/api/v1/replicationcontrollers?labelSelector=test-rc-static%3Dtrue")["items"]
    assert [item["metadata"]["name"] for item in found] == ["life"]
    paper_apps.patch(
        "replicationcontrollers", "life", {"status": {"readyReplicas": 0, "availableReplicas": 0}}, "status"
    )

    def status() -> Any:
        return paper_apps.get("replicationcontrollers", "life", "status")["status"]

    paper_apps.wait(lambda: status().get("availableReplicas") == 1, "the status is told anew")
    paper_apps.patch("replicationcontrollers", "life", {"spec": {"replicas": 2}})
    paper_apps.wait_for_pods(2)
    paper_apps.wait(lambda: status().get("readyReplicas") == 2, "the status tells of both")
    paper_apps.delete("replicationcontrollers", query="?labelSelector=test-rc-static%3Dtrue")
    paper_apps.wait(lambda: not paper_apps.list("replicationcontrollers"), "it is gone")
    # Its pods stay, as they do by default for this kind alone.
    assert [owners(item) for item in paper_apps.pods()] == [[], []]
