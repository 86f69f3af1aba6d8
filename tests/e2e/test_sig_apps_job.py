"""The specification's [sig-apps] behaviours of Jobs, each in a test of its own, with real containers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

INDEX = "batch.kubernetes.io/job-completion-index"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
FAIL_ODD = "exit $((JOB_COMPLETION_INDEX % 2))"
INDEXED: Any = {"completionMode": "Indexed", "completions": 4, "parallelism": 2}


@pytest.fixture
def rest(cluster: Cluster) -> Rest:
    return Rest(cluster.kubeconfig)


def job(name: str, command: str, *, restart: str = "Never", pod: Any = None, **spec: Any) -> Any:
    container = {"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command]}
    pod_spec = {"restartPolicy": restart, "terminationGracePeriodSeconds": 0, "containers": [container]}
    template = {"metadata": {"labels": {"job": name}}, "spec": pod_spec | (pod or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"e2e": name}},
        "spec": {"template": template} | spec,
    }


class Namespace:
    """Jobs of a namespace."""

    def __init__(self, rest: Rest, name: str) -> None:
        self.rest = rest
        self.jobs = f"/apis/batch/v1/namespaces/{name}/jobs"
        self.pods = f"/api/v1/namespaces/{name}/pods"

    def create(self, body: Any) -> Any:
        return self.rest.ok("POST", self.jobs, body)

    def status(self, name: str) -> Any:
        return self.rest.ok("GET", f"{self.jobs}/{name}")["status"]

    def condition(self, name: str, kind: str) -> Any:
        found = self.status(name).get("conditions") or ()
        return next((item for item in found if item["type"] == kind and item["status"] == "True"), None)

    def ended(self, name: str, kind: str = "Complete") -> Any:
        """Wait for the end of a Job; its status, and the reason of the condition that tells it."""
        condition = until(lambda: self.condition(name, kind), f"{name} is {kind}")
        return self.status(name), condition["reason"]

    def pods_of(self, name: str, is_such: Callable[[Any], bool] = lambda pod: True) -> list[Any]:
        found = self.rest.ok("GET", f"{self.pods}?labelSelector=job%3D{name}")["items"]
        return [pod for pod in found if is_such(pod)]

    def running(self, name: str) -> list[Any]:
        return self.pods_of(name, lambda pod: pod.get("status", {}).get("phase") == "Running")


@pytest.fixture
def space(rest: Rest, ns: str) -> Namespace:
    return Namespace(rest, ns)


def test_orphans_are_adopted_and_strangers_released(space: Namespace) -> None:
    """[sig-apps] Job should adopt matching orphans and release non-matching pods"""
    space.create(job("adopt", "sleep 600", parallelism=2, completions=2))
    until(lambda: len(space.pods_of("adopt")) == 2, "two pods")
    meta = space.pods_of("adopt")[0]["metadata"]
    path = f"{space.pods}/{meta['name']}"
    space.rest.ok("PATCH", path, {"metadata": {"ownerReferences": None}}, Content_Type=MERGE)
    until(lambda: space.rest.ok("GET", path)["metadata"].get("ownerReferences"), "it is adopted again")
    labels = {key: None for key in meta["labels"] if key != "job"}
    space.rest.ok("PATCH", path, {"metadata": {"labels": labels}}, Content_Type=MERGE)
    until(lambda: not space.rest.ok("GET", path)["metadata"].get("ownerReferences"), "it is released")
    until(lambda: len(space.pods_of("adopt")) == 3, "another takes its place")


def test_disruptions_can_be_ignored(space: Namespace, tmp_path: Path) -> None:
    """[sig-apps] Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget
    condition
    """
    command = 'f=/data/$JOB_COMPLETION_INDEX; [ -f $f ] && exit 0; touch $f; trap "exit 1" TERM; sleep 600 & wait'
    volume = {"name": "data", "hostPath": {"path": str(tmp_path)}}
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    body = job(
        "disrupted",
        command,
        completionMode="Indexed",
        completions=2,
        parallelism=2,
        backoffLimit=0,
        podFailurePolicy={"rules": [rule]},
        pod={"volumes": [volume]},
    )
    body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    space.create(body)
    until(lambda: len(list(tmp_path.iterdir())) == 2 and len(space.running("disrupted")) == 2, "both have begun")
    for pod in space.running("disrupted"):
        name = pod["metadata"]["name"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        space.rest.ok("POST", f"{space.pods}/{name}/eviction", eviction)
    status, reason = space.ended("disrupted")
    assert (reason, status["succeeded"], status.get("failed", 0)) == ("CompletionsReached", 2, 0)


def test_an_exit_code_can_fail_the_job(space: Namespace) -> None:
    """[sig-apps] Job should allow to use the pod failure policy on exit code to fail the job early"""
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]
    space.create(job("code", "exit 42", backoffLimit=4, podFailurePolicy={"rules": rules}))
    status, reason = space.ended("code", "Failed")
    assert (reason, status["failed"]) == ("PodFailurePolicy", 1)
    assert space.condition("code", "FailureTarget")["reason"] == "PodFailurePolicy"


def test_the_status_can_be_changed(space: Namespace) -> None:
    """[sig-apps] Job should apply changes to a job status"""
    space.create(job("status", "sleep 600", parallelism=2, completions=4))
    until(lambda: space.status("status").get("active") == 2, "it runs")
    path = f"{space.jobs}/status"
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}}
    patched = space.rest.ok("PATCH", f"{path}/status", patch, Content_Type=MERGE)
    assert patched["metadata"]["annotations"]["patchedstatus"] == "true"

    def replaced() -> bool:
        found = space.rest.ok("GET", f"{path}/status")
        new = {"type": "e2e", "status": "True", "reason": "Told", "message": "by a test"}
        found["status"]["conditions"] = [*found["status"].get("conditions", ()), new]
        return space.rest("PUT", f"{path}/status", found)[0] == 200

    until(replaced, "the status is replaced")
    assert any(item["type"] == "e2e" for item in space.status("status")["conditions"])


def test_each_pod_of_an_indexed_job_has_its_index(space: Namespace) -> None:
    """[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname"""
    command = "[ $(hostname) = indexed-$JOB_COMPLETION_INDEX ] && exit 0; exit 1"
    space.create(job("indexed", command, backoffLimit=0, **INDEXED))
    status, _ = space.ended("indexed")
    assert status["completedIndexes"] == "0-3"
    pods = space.pods_of("indexed")
    assert sorted(pod["metadata"]["annotations"][INDEX] for pod in pods) == ["0", "1", "2", "3"]
    for pod in pods:
        name = f"indexed-{pod['metadata']['labels'][INDEX]}"
        assert pod["spec"]["hostname"] == name
        assert pod["metadata"]["name"].startswith(f"{name}-")


def test_a_job_is_deleted_with_its_pods(space: Namespace) -> None:
    """[sig-apps] Job should delete a job"""
    space.create(job("doomed", "sleep 600", parallelism=2, completions=2))
    until(lambda: len(space.running("doomed")) == 2, "two run")
    space.rest.ok("DELETE", f"{space.jobs}/doomed?propagationPolicy=Foreground")
    until(lambda: space.rest("GET", f"{space.jobs}/doomed")[0] == 404, "it is gone")
    assert space.pods_of("doomed") == []


def test_all_indexes_run_though_some_fail(space: Namespace) -> None:
    """[sig-apps] Job should execute all indexes despite some failing when using backoffLimitPerIndex"""
    space.create(job("each", FAIL_ODD, backoffLimitPerIndex=1, **INDEXED))
    status, reason = space.ended("each", "Failed")
    assert reason == "FailedIndexes"
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1,3")
    assert (status["succeeded"], status["failed"]) == (2, 4)


def test_a_jobs_life(cluster: Cluster, space: Namespace, ns: str) -> None:
    """[sig-apps] Job should manage the lifecycle of a job"""
    space.create(job("life", "true", suspend=True, parallelism=2, completions=2))
    until(lambda: space.condition("life", "Suspended"), "it is suspended")
    assert space.pods_of("life") == []
    path = f"{space.jobs}/life"
    patch = {"metadata": {"labels": {"patched": "true"}}}
    assert space.rest.ok("PATCH", path, patch, Content_Type=STRATEGIC)["metadata"]["labels"]["patched"] == "true"

    def replaced() -> bool:
        found = space.rest.ok("GET", path)
        found["spec"]["suspend"] = False
        found["metadata"].setdefault("annotations", {})["updated"] = "true"
        return space.rest("PUT", path, found)[0] == 200

    until(replaced, "it is resumed")
    status, _ = space.ended("life")
    assert status["succeeded"] == 2
    assert space.rest.ok("GET", path)["metadata"]["annotations"]["updated"] == "true"
    assert len(space.rest.ok("GET", "/apis/batch/v1/jobs?labelSelector=e2e%3Dlife")["items"]) == 1
    cluster.kubectl("wait", "--for=condition=complete", "job/life", "-n", ns, "--timeout=60s")
    told = cluster.kubectl("describe", "job", "life", "-n", ns)
    for line in (
        r"Completions: +2",
        r"Pods Statuses: +0 Active \(0 Ready\) / 2 Succeeded / 0 Failed",
        r"Suspend: +false",
    ):
        assert re.search(line, told), told
    until(lambda: "Job completed" in cluster.kubectl("describe", "job", "life", "-n", ns), "its end is told")
    assert re.search(r"life +Complete +2/2", cluster.kubectl("get", "job", "life", "-n", ns))
    space.rest.ok("DELETE", f"{space.jobs}?labelSelector=e2e%3Dlife&propagationPolicy=Background")
    until(lambda: not space.rest.ok("GET", f"{space.jobs}?labelSelector=e2e%3Dlife")["items"], "it is gone")


def test_fail_index_fails_without_another_try(space: Namespace) -> None:
    """[sig-apps] Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy"""
    rules = [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}]
    policy: Any = {"podFailurePolicy": {"rules": rules}, "backoffLimitPerIndex": 1}
    space.create(job("at-once", FAIL_ODD, **INDEXED, **policy))
    status, reason = space.ended("at-once", "Failed")
    assert reason == "FailedIndexes"
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1,3")
    assert (status["succeeded"], status["failed"]) == (2, 2)


def test_containers_that_are_restarted_complete_the_job(space: Namespace) -> None:
    """[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted"""
    command = "[ -f /data/once ] && exit 0; touch /data/once; exit 1"
    body = job("again", command, restart="OnFailure", parallelism=2, completions=4)
    spec = body["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "data", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    space.create(body)
    status, _ = space.ended("again")
    assert (status["succeeded"], status.get("failed", 0)) == (4, 0)


def test_too_many_failed_indexes_end_the_job(space: Namespace) -> None:
    """[sig-apps] Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes"""
    command = "[ $JOB_COMPLETION_INDEX = 0 ] && exit 1; sleep 600"
    space.create(job("few", command, backoffLimitPerIndex=0, maxFailedIndexes=0, **INDEXED))
    status, reason = space.ended("few", "Failed")
    assert (reason, status["failedIndexes"], status.get("active", 0)) == ("MaxFailedIndexesExceeded", "0", 0)


def test_success_of_all_indexes_is_told_as_the_policys(space: Namespace) -> None:
    """[sig-apps] Job with successPolicy should succeeded when all indexes succeeded"""
    spec: Any = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    space.create(job("all", "exit 0", successPolicy={"rules": [{"succeededIndexes": "0-1"}]}, **spec))
    status, reason = space.ended("all")
    assert (reason, status["completedIndexes"]) == ("SuccessPolicy", "0,1")
    assert space.condition("all", "SuccessCriteriaMet")["reason"] == "SuccessPolicy"


@pytest.mark.parametrize(
    ("name", "rule"),
    [("count", {"succeededCount": 1}), ("indexes", {"succeededIndexes": "0"})],
    ids=["count", "indexes"],
)
def test_a_success_rule_is_met_while_indexes_are_pending(space: Namespace, name: str, rule: Any) -> None:
    """[sig-apps] Job with successPolicy succeededCount rule should succeeded even when some indexes remain pending

    [sig-apps] Job with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending
    """
    command = "[ $JOB_COMPLETION_INDEX = 0 ] && exit 0; sleep 600"
    space.create(job(name, command, successPolicy={"rules": [rule]}, **(INDEXED | {"completions": 5})))
    status, reason = space.ended(name)
    assert (reason, status["completedIndexes"], status["succeeded"]) == ("SuccessPolicy", "0", 1)
    assert status["terminating"] == 0
    conditions = [item["type"] for item in status["conditions"]]
    assert conditions.index("SuccessCriteriaMet") < conditions.index("Complete")


def test_an_ended_job_goes_after_its_time_to_live(cluster: Cluster, space: Namespace, ns: str) -> None:
    space.create(job("brief", "true", ttlSecondsAfterFinished=1))
    until(lambda: space.rest("GET", f"{space.jobs}/brief")[0] == 404, "it is gone")
    until(lambda: not space.pods_of("brief"), "and its pods")

    def told() -> bool:
        events = cluster.json("get", "events", "-n", ns, "--field-selector=involvedObject.name=brief")["items"]
        return {"SuccessfulCreate", "Completed"} <= {event["reason"] for event in events}

    until(told, "its events outlive it")
