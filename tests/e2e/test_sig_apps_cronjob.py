"""The specification's [sig-apps] behaviours of CronJobs, each in a test of its own, with real containers.

A start is made due by a schedule of a minute that has just passed, so that no test waits for the clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

MERGE = "application/merge-patch+json"


@pytest.fixture
def rest(cluster: Cluster) -> Rest:
    return Rest(cluster.kubeconfig)


def cron_job(name: str, schedule: str, command: str = "sleep 600", **spec: Any) -> Any:
    container = {"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command]}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    template = {"metadata": {"labels": {"cron": name}}, "spec": {"template": {"spec": pod}}}
    meta = {"name": name, "labels": {"e2e": name}}
    whole = {"schedule": schedule, "jobTemplate": template} | spec
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta, "spec": whole}


def at(minutes_ago: int) -> datetime:
    now = datetime.now(UTC)  # noqa: TID251
    return now.replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)


def yearly(moment: datetime) -> str:
    """The schedule that fires at a minute of the year."""
    return f"{moment.minute} {moment.hour} {moment.day} {moment.month} *"


class Cron:
    """One CronJob, made suspended, and its Jobs."""

    def __init__(self, rest: Rest, ns: str, name: str, **spec: Any) -> None:
        self.rest, self.name = rest, name
        self.crons = f"/apis/batch/v1/namespaces/{ns}/cronjobs"
        self.path = f"{self.crons}/{name}"
        self.jobs_path = f"/apis/batch/v1/namespaces/{ns}/jobs"
        rest.ok("POST", self.crons, cron_job(name, "0 0 1 1 *", suspend=True, **spec))
        before = (at(60)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.patch({"status": {"lastScheduleTime": before}}, "/status")

    def patch(self, body: Any, subresource: str = "") -> Any:
        return self.rest.ok("PATCH", self.path + subresource, body, Content_Type=MERGE)

    def make_due(self, moment: datetime, *, suspend: bool = False) -> str:
        """Let a start be due; the name of its Job."""
        self.patch({"spec": {"schedule": yearly(moment), "suspend": suspend}})
        # Another schedule alone starts nothing that lies before.
        self.patch({"metadata": {"annotations": {"due": str(moment)}}})
        return f"{self.name}-{int(moment.timestamp()) // 60}"

    def jobs(self) -> set[str]:
        found = self.rest.ok("GET", f"{self.jobs_path}?labelSelector=cron%3D{self.name}")["items"]
        return {job["metadata"]["name"] for job in found if not job["metadata"].get("deletionTimestamp")}

    def status(self) -> Any:
        return self.rest.ok("GET", self.path).get("status") or {}

    def active(self) -> set[str]:
        return {ref["name"] for ref in self.status().get("active") or ()}

    def wait_for(self, *names: str) -> None:
        until(lambda: self.jobs() == set(names) == self.active(), f"{names} run")


def told(cluster: Cluster, ns: str, reason: str) -> bool:
    events = cluster.json("get", "events", "-n", ns)["items"]
    return any(event["reason"] == reason for event in events)


def test_a_suspended_cron_job_starts_nothing(rest: Rest, ns: str) -> None:
    """[sig-apps] CronJob should not schedule jobs when suspended"""
    cron = Cron(rest, ns, "suspended")
    name = cron.make_due(at(2), suspend=True)
    # What another one has started shows that this one had its time.
    other = Cron(rest, ns, "other")
    other.wait_for(other.make_due(at(2)))
    assert cron.jobs() == set() == cron.active()
    cron.patch({"spec": {"suspend": False}})
    cron.wait_for(name)


def test_forbid_starts_none_while_one_runs(cluster: Cluster, rest: Rest, ns: str) -> None:
    """[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent"""
    cron = Cron(rest, ns, "forbid", concurrencyPolicy="Forbid")
    first = cron.make_due(at(3))
    cron.wait_for(first)
    second = cron.make_due(at(2))
    until(lambda: told(cluster, ns, "JobAlreadyActive"), "it is told")
    assert cron.jobs() == {first} == cron.active()
    rest.ok("DELETE", f"{cron.jobs_path}/{first}?propagationPolicy=Background")
    until(lambda: second in cron.jobs(), "the next one starts when there is none any more")


def test_replace_gives_up_the_one_that_runs(cluster: Cluster, rest: Rest, ns: str) -> None:
    """[sig-apps] CronJob should replace jobs when ReplaceConcurrent"""
    cron = Cron(rest, ns, "replace", concurrencyPolicy="Replace")
    cron.wait_for(cron.make_due(at(3)))
    cron.wait_for(cron.make_due(at(2)))
    until(lambda: told(cluster, ns, "SuccessfulDelete"), "it is told")


def test_allow_lets_several_run(cluster: Cluster, rest: Rest, ns: str) -> None:
    """[sig-apps] CronJob should schedule multiple jobs concurrently"""
    cron = Cron(rest, ns, "allow", concurrencyPolicy="Allow")
    first = cron.make_due(at(3))
    cron.wait_for(first)
    second = cron.make_due(at(2))
    cron.wait_for(first, second)
    until(lambda: "SuccessfulCreate" in cluster.kubectl("describe", "cronjob", "allow", "-n", ns), "it is told")
    description = cluster.kubectl("describe", "cronjob", "allow", "-n", ns)
    assert "Concurrency Policy:            Allow" in description
    assert first in description
    assert second in description


def test_the_api_of_cron_jobs(cluster: Cluster, rest: Rest, ns: str) -> None:
    """[sig-apps] CronJob should support CronJob API operations"""
    crons = f"/apis/batch/v1/namespaces/{ns}/cronjobs"
    names = ("one", "two", "three")
    version = rest.ok("GET", crons)["metadata"]["resourceVersion"]
    for name in names:
        rest.ok("POST", crons, {**cron_job(name, "0 0 1 1 *"), "metadata": {"name": name, "labels": {"e2e": "api"}}})
    assert rest.ok("GET", f"{crons}/one")["spec"]["schedule"] == "0 0 1 1 *"
    found = rest.ok("GET", f"{crons}?labelSelector=e2e%3Dapi")["items"]
    assert {item["metadata"]["name"] for item in found} == set(names)
    everywhere = rest.ok("GET", "/apis/batch/v1/cronjobs?labelSelector=e2e%3Dapi")["items"]
    assert {item["metadata"]["name"] for item in everywhere if item["metadata"]["namespace"] == ns} == set(names)
    events = rest.watch(f"{crons}?labelSelector=e2e%3Dapi&resourceVersion={version}", 3)
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", name) for name in names
    ]
    patched = rest.ok("PATCH", f"{crons}/one", {"metadata": {"annotations": {"a": "1"}}}, Content_Type=MERGE)
    assert patched["metadata"]["annotations"]["a"] == "1"
    patched["metadata"]["annotations"]["a"] = "2"
    patched["spec"]["suspend"] = True
    assert rest.ok("PUT", f"{crons}/one", patched)["metadata"]["annotations"]["a"] == "2"
    began = at(0).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"status": {"lastScheduleTime": began}}
    assert rest.ok("PATCH", f"{crons}/one/status", status, Content_Type=MERGE)["status"]["lastScheduleTime"] == began
    read = rest.ok("GET", f"{crons}/one/status")
    read["status"]["lastScheduleTime"] = at(1).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert rest.ok("PUT", f"{crons}/one/status", read)["status"] == read["status"]
    rest.ok("DELETE", f"{crons}/one")
    assert rest("GET", f"{crons}/one")[0] == 404
    rest.ok("DELETE", f"{crons}?labelSelector=e2e%3Dapi")
    assert rest.ok("GET", f"{crons}?labelSelector=e2e%3Dapi")["items"] == []


def test_a_job_by_hand_and_one_that_completes(cluster: Cluster, rest: Rest, ns: str) -> None:
    cron = Cron(rest, ns, "manual", command="true")
    cluster.kubectl("create", "job", "by-hand", "--from=cronjob/manual", "-n", ns)
    cluster.kubectl("wait", "--for=condition=complete", "job/by-hand", "-n", ns, "--timeout=120s")
    name = cron.make_due(at(2))
    until(lambda: name in cron.jobs(), "it starts")
    cluster.kubectl("wait", "--for=condition=complete", f"job/{name}", "-n", ns, "--timeout=120s")
    until(lambda: cron.status().get("lastSuccessfulTime") and not cron.active(), "its end is noted")
    until(lambda: told(cluster, ns, "SawCompletedJob"), "and told")
    annotations = rest.ok("GET", f"{cron.jobs_path}/{name}")["metadata"]["annotations"]
    assert annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"].endswith("Z")


@pytest.mark.long
def test_every_minute_a_job_starts(rest: Rest, ns: str) -> None:
    rest.ok("POST", f"/apis/batch/v1/namespaces/{ns}/cronjobs", cron_job("minutely", "* * * * *", "true"))
    path = f"/apis/batch/v1/namespaces/{ns}/jobs"
    until(lambda: len(rest.ok("GET", path)["items"]) >= 2, "two minutes have begun", 240)
