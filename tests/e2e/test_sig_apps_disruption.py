"""The specification's [sig-apps] entries about PodDisruptionBudgets, each in a test of its own."""

from __future__ import annotations

from typing import Any

import pytest
from tests.e2e.apps import Apps, pod, replica_set

pytestmark = pytest.mark.rootless
BUDGETS = "poddisruptionbudgets"


def budget(name: str, **spec: Any) -> Any:
    labels = {"set": "budgets"}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"selector": {"matchLabels": {"app": "a"}}, **spec}}


def seen(apps: Apps, name: str = "b") -> Any:
    """Wait until the controller has taken the budget as it is; its status."""

    def status() -> Any:
        found = apps.get(BUDGETS, name)
        told = found.get("status") or {}
        return told if told.get("observedGeneration") == found["metadata"]["generation"] else None

    return apps.wait(status, f"the budget {name} is counted")


def allows(apps: Apps, count: int) -> None:
    apps.wait(lambda: seen(apps)["disruptionsAllowed"] == count, f"{count} disruptions are allowed")


def evict(apps: Apps, name: str) -> tuple[int, Any]:
    return apps.rest(
        "POST",
        apps.path("pods", name, "eviction"),
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}},
    )


def with_pods(apps: Apps, count: int) -> None:
    for number in range(count):
        apps.create("pods", pod(f"p{number}", "a"))
    apps.wait_for_pods(count)


def test_budgets_listed_and_deleted(paper_apps: Apps) -> None:
    """[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a
    collection of PodDisruptionBudgets"""
    other = Apps(paper_apps.rest, f"{paper_apps.name}-2", plays=True)
    other.rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": other.name}})
    for name in ("one", "two"):
        paper_apps.create(BUDGETS, budget(name, minAvailable="1%"))
    other.create(BUDGETS, budget("one", minAvailable=0))
    everywhere = paper_apps.rest.ok("GET", "/apis/policy/v1/poddisruptionbudgets?labelSelector=set%3Dbudgets")["items"]
    mine = [item for item in everywhere if item["metadata"]["namespace"] in (paper_apps.name, other.name)]
    assert len(mine) == 3
    paper_apps.delete(BUDGETS, query="?labelSelector=set%3Dbudgets")
    paper_apps.wait(lambda: not paper_apps.list(BUDGETS), "those of one namespace are gone")
    assert len(other.list(BUDGETS)) == 1
    other.rest.ok("DELETE", f"/api/v1/namespaces/{other.name}")


def test_an_eviction_waits_for_its_budget(paper_apps: Apps) -> None:
    """[sig-apps] DisruptionController should block an eviction until the PDB is updated to allow it"""
    with_pods(paper_apps, 3)
    paper_apps.create(BUDGETS, budget("b", minAvailable=3))
    seen(paper_apps)
    code, refused = evict(paper_apps, "p0")
    assert (code, refused["reason"]) == (429, "TooManyRequests")
    assert refused["details"]["causes"][0]["reason"] == "DisruptionBudget"
    paper_apps.patch(BUDGETS, "b", {"spec": {"minAvailable": 2}})
    allows(paper_apps, 1)
    assert evict(paper_apps, "p0")[0] == 201
    paper_apps.wait_for_pods(2)
    paper_apps.patch(BUDGETS, "b", {"spec": {"minAvailable": None, "maxUnavailable": 0}})
    seen(paper_apps)
    assert evict(paper_apps, "p1")[0] == 429
    paper_apps.delete(BUDGETS, "b")
    assert evict(paper_apps, "p1")[0] == 201
    paper_apps.wait_for_pods(1)


def test_budget_lifecycle(paper_apps: Apps) -> None:
    """[sig-apps] DisruptionController should create a PodDisruptionBudget"""
    paper_apps.create(BUDGETS, budget("b", minAvailable="1%"))
    seen(paper_apps)
    found = paper_apps.get(BUDGETS, "b")
    found["spec"]["minAvailable"] = "2%"
    found["metadata"].pop("resourceVersion")
    assert paper_apps.rest("PUT", paper_apps.path(BUDGETS, "b"), found)[0] == 422
    found["metadata"]["resourceVersion"] = paper_apps.get(BUDGETS, "b")["metadata"]["resourceVersion"]
    assert paper_apps.put(BUDGETS, found)["spec"]["minAvailable"] == "2%"
    seen(paper_apps)
    assert paper_apps.patch(BUDGETS, "b", {"spec": {"minAvailable": "3%"}})["spec"]["minAvailable"] == "3%"
    seen(paper_apps)
    paper_apps.delete(BUDGETS, "b")
    paper_apps.wait(lambda: not paper_apps.list(BUDGETS), "it is gone")


def test_budget_status_is_told(paper_apps: Apps) -> None:
    """[sig-apps] DisruptionController should observe PodDisruptionBudget status updated"""
    paper_apps.create(BUDGETS, budget("b", minAvailable=1))
    paper_apps.create("replicasets", replica_set("a", 3))
    paper_apps.wait_for_pods(3)
    allows(paper_apps, 2)
    told = seen(paper_apps)
    assert (told["currentHealthy"], told["desiredHealthy"], told["expectedPods"]) == (3, 1, 3)
    (condition,) = told["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed",
        "True",
        "SufficientPods",
    )


def test_budget_status_is_written(paper_apps: Apps) -> None:
    """[sig-apps] DisruptionController should update/patch PodDisruptionBudget status"""
    with_pods(paper_apps, 1)
    paper_apps.create(BUDGETS, budget("b", minAvailable=1))
    paper_apps.wait(lambda: seen(paper_apps)["currentHealthy"] == 1, "the pod is counted")
    disrupted = {"p0": "2026-01-01T00:00:00Z", "gone": "2026-01-01T00:00:00Z"}

    def written() -> Any:
        found = paper_apps.get(BUDGETS, "b", "status")
        found["status"]["disruptedPods"] = disrupted
        code, answer = paper_apps.rest("PUT", paper_apps.path(BUDGETS, "b", "status"), found)
        return answer if code == 200 else None

    assert paper_apps.wait(written, "the status is written")["status"]["disruptedPods"] == disrupted
    patch = {
        "metadata": {"annotations": {"noted": "here"}},
        "status": {"disruptedPods": {"p0": "2026-01-01T00:00:00Z"}},
    }
    assert paper_apps.patch(BUDGETS, "b", patch, "status")["status"]["disruptedPods"]["p0"]
    # The time of both is over long since: the controller strikes them out.
    paper_apps.wait(lambda: not paper_apps.get(BUDGETS, "b")["status"].get("disruptedPods"), "the map is cleaned")
