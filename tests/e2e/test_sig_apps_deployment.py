"""The specification's [sig-apps] entries about Deployments, each in a test of its own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.e2e.apps import Apps, deployment, is_ready, owners, replica_set, template
from tests.e2e.cluster import Cluster

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


def condition(obj: Any, kind: str) -> Any:
    return next((item for item in (obj.get("status") or {}).get("conditions") or () if item["type"] == kind), None)


@pytest.mark.rootless
def test_deployment_scale(paper_apps: Apps) -> None:
    """[sig-apps] Deployment Deployment should have a working scale subresource"""
    paper_apps.create("deployments", deployment("web", 1))
    paper_apps.settled("web")
    scale = paper_apps.get("deployments", "web", "scale")
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (1, 1)
    scale["spec"]["replicas"] = 2
    assert paper_apps.put("deployments", scale, "scale")["spec"]["replicas"] == 2
    paper_apps.settled("web")
    assert paper_apps.patch("deployments", "web", {"spec": {"replicas": 4}}, "scale")["spec"]["replicas"] == 4
    assert paper_apps.settled("web")["spec"]["replicas"] == 4
    assert paper_apps.get("deployments", "web", "scale")["status"]["selector"] == "app=web"


def test_recreate_deployment(apps: Apps) -> None:
    """[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones"""
    apps.create("deployments", deployment("re", 2, strategy={"type": "Recreate"}))
    old = {pod["metadata"]["name"] for pod in apps.settled("re") and apps.list("pods")}
    mixed: list[Any] = []

    def replaced() -> bool:
        pods = apps.list("pods")
        running = [item for item in pods if (item.get("status") or {}).get("phase") == "Running"]
        if len({item["metadata"]["labels"][HASH] for item in running}) > 1:
            mixed.append(running)
        names = {item["metadata"]["name"] for item in pods if is_ready(item)}
        return len(names) == 2 and not names & old

    apps.patch("deployments", "re", {"spec": {"template": template("re", "exec sleep 3601")}})
    apps.wait(replaced, "all pods are new")
    assert not mixed
    assert apps.settled("re")["metadata"]["annotations"][REVISION] == "2"


def test_rolling_update_deployment(apps: Apps) -> None:
    """[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones"""
    old = replica_set("roll", 1)
    old["metadata"]["annotations"] = {REVISION: "3546343826724305832"}
    old = apps.create("replicasets", old)
    (before,) = apps.wait_for_pods(1)
    apps.create("deployments", deployment("roll", 1, template("roll", "exec sleep 3601")))
    assert apps.settled("roll")["metadata"]["annotations"][REVISION] == "3546343826724305833"
    adopted = apps.get("replicasets", "roll")
    assert owners(adopted) == ["roll"]
    assert adopted["spec"]["replicas"] == 0
    (after,) = apps.wait_for_pods(1)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


@pytest.mark.rootless
def test_old_replica_sets_go(paper_apps: Apps) -> None:
    """[sig-apps] Deployment deployment should delete old replica sets"""
    paper_apps.create("replicasets", {**replica_set("hist", 1), "metadata": {"name": "old", "labels": {"app": "hist"}}})
    paper_apps.create("deployments", deployment("hist", 1, template("hist", "other"), revisionHistoryLimit=0))
    paper_apps.settled("hist")
    paper_apps.wait(lambda: len(paper_apps.list("replicasets")) == 1, "the old ReplicaSet is gone")
    (left,) = paper_apps.list("replicasets")
    assert owners(left) == ["hist"]
    assert left["metadata"]["name"] != "old"


@pytest.mark.rootless
def test_proportional_scaling(paper_apps: Apps) -> None:
    """[sig-apps] Deployment deployment should support proportional scaling"""
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    paper_apps.create("deployments", deployment("prop", 10, strategy=rolling))
    paper_apps.settled("prop")
    (first,) = paper_apps.list("replicasets")

    def sizes() -> tuple[int, ...]:
        found = {item["metadata"]["uid"]: item["spec"]["replicas"] for item in paper_apps.list("replicasets")}
        return found.pop(first["metadata"]["uid"]), *found.values()

    paper_apps.patch("deployments", "prop", {"spec": {"template": template("prop", image="no-such-image")}})
    paper_apps.wait(lambda: sizes() == (8, 5), "the rollout is stuck half way")
    paper_apps.wait(lambda: len(paper_apps.ready_pods()) == 8, "the pods that are left are ready")
    paper_apps.patch("deployments", "prop", {"spec": {"replicas": 30}})
    paper_apps.wait(lambda: sizes() == (20, 13), "both have grown in proportion")


def test_rollover(apps: Apps) -> None:
    """[sig-apps] Deployment deployment should support rollover"""
    apps.create("replicasets", replica_set("over", 1))
    apps.wait_for_pods(1)
    stuck = template("over", image="no-such-image")
    apps.create("deployments", deployment("over", 1, stuck, minReadySeconds=2))
    apps.wait(lambda: len(apps.pods()) == 2, "a pod that cannot run is beside the old one")
    apps.patch("deployments", "over", {"spec": {"template": template("over", "exec sleep 3602")}})
    apps.settled("over")
    (left,) = apps.wait_for_pods(1)
    sets = {item["metadata"]["name"]: item["spec"]["replicas"] for item in apps.list("replicasets")}
    assert sets.pop(owners(left)[0]) == 1
    assert list(sets.values()) == [0, 0]


def test_deployment_lifecycle(apps: Apps) -> None:
    """[sig-apps] Deployment should run the lifecycle of a Deployment"""
    made = deployment("life", 2)
    made["metadata"]["labels"] = {"test-deployment-static": "true"}
    apps.create("deployments", made)
    apps.settled("life")
    found = apps.rest.ok("GET", "/apis/apps/v1/deployments?labelSelector=test-deployment-static%3Dtrue")["items"]
    assert "life" in [item["metadata"]["name"] for item in found]
    grown = {
        "metadata": {"labels": {"patched": "yes"}},
        "spec": {"replicas": 1, "template": template("life", "exec sleep 3601")},
    }
    assert apps.patch("deployments", "life", grown)["metadata"]["labels"]["patched"] == "yes"
    assert apps.settled("life")["status"]["readyReplicas"] == 1
    assert apps.patch("deployments", "life", {"spec": {"replicas": 2}}, "scale")["spec"]["replicas"] == 2
    assert apps.settled("life")["status"]["readyReplicas"] == 2
    noted = {"metadata": {"annotations": {"noted": "here"}}, "status": {"readyReplicas": 0, "availableReplicas": 0}}
    apps.patch("deployments", "life", noted, "status")
    assert apps.get("deployments", "life", "status")["metadata"]["annotations"]["noted"] == "here"
    apps.wait(lambda: apps.get("deployments", "life")["status"].get("readyReplicas") == 2, "the status is told anew")
    apps.delete("deployments", query="?labelSelector=test-deployment-static%3Dtrue")
    apps.wait(lambda: not apps.list("deployments") + apps.list("replicasets"), "all is gone")
    apps.wait_for_pods(0)


@pytest.mark.rootless
def test_deployment_status(paper_apps: Apps) -> None:
    """[sig-apps] Deployment should validate Deployment Status endpoints"""
    paper_apps.create("deployments", deployment("told", 1))
    found = paper_apps.settled("told")
    assert condition(found, "Available")["status"] == "True"
    told = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

    def kept(kind: str) -> Any:
        return condition(paper_apps.get("deployments", "told", "status"), kind)

    def updated() -> bool:
        now = paper_apps.get("deployments", "told", "status")
        now["status"]["conditions"].append(told)
        code, _ = paper_apps.rest("PUT", paper_apps.path("deployments", "told", "status"), now)
        return code == 200

    paper_apps.wait(updated, "the status is written")
    assert kept("StatusUpdate")["message"] == "Set from e2e test"
    paper_apps.patch("deployments", "told", {"status": {"conditions": [{**told, "type": "StatusPatched"}]}}, "status")
    paper_apps.wait(lambda: kept("StatusPatched"), "the patched condition stands")


@pytest.mark.rootless
def test_kubectl_rolls_out_pauses_and_undoes(paper_apps: Apps, api_only: Cluster) -> None:
    def rollout(*arguments: str) -> str:
        return api_only.kubectl("rollout", *arguments, "-n", paper_apps.name)

    def command() -> str:
        found: str = paper_apps.get("deployments", "undo")["spec"]["template"]["spec"]["containers"][0]["command"][-1]
        return found

    paper_apps.create("deployments", deployment("undo", 1, template("undo", "one")))
    paper_apps.settled("undo")
    for text in ("two", "three"):
        paper_apps.patch("deployments", "undo", {"spec": {"template": template("undo", text)}})
        paper_apps.settled("undo")
    assert "successfully rolled out" in rollout("status", "deployment/undo")
    rollout("undo", "deployment/undo")
    assert command() == "two"
    assert paper_apps.settled("undo")["metadata"]["annotations"][REVISION] == "4"
    rollout("undo", "deployment/undo", "--to-revision=1")
    assert command() == "one"
    paper_apps.settled("undo")
    shown = [line.split()[0] for line in rollout("history", "deployment/undo").splitlines() if line[:1].isdigit()]
    assert shown == ["3", "4", "5"]
    rollout("pause", "deployment/undo")
    paper_apps.wait(
        lambda: condition(paper_apps.get("deployments", "undo"), "Progressing")["reason"] == "DeploymentPaused",
        "the pause is told",
    )
    rollout("resume", "deployment/undo")
    paper_apps.wait(
        lambda: condition(paper_apps.get("deployments", "undo"), "Progressing")["reason"] != "DeploymentPaused",
        "so is its end",
    )
