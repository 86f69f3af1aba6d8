"""The specification's [sig-api-machinery] ResourceQuota entries, over plain HTTP to API server and controllers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
MERGE = "application/merge-patch+json"
APPS = ("replicasets",)


class Space:
    """A namespace with its account and its map of the authority, and requests in it."""

    def __init__(self, rest: Rest, name: str) -> None:
        self.rest, self.name = rest, name

    def path(self, plural: str, name: str = "") -> str:
        prefix = "/apis/apps/v1" if plural in APPS else "/api/v1"
        return f"{prefix}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")

    def create(self, plural: str, name: str, **members: Any) -> Any:
        meta = {"name": name, **members.pop("metadata", {})}
        return self.rest.ok("POST", self.path(plural), {"metadata": meta, **members})

    def refused(self, plural: str, name: str, **members: Any) -> str:
        """The message with which a quota refuses an object."""
        status, found = self.rest("POST", self.path(plural), {"metadata": {"name": name}, **members})
        assert (status, found.get("reason")) == (403, "Forbidden"), found
        message: str = found["message"]
        assert "exceeded quota" in message
        return message

    def delete(self, plural: str, name: str) -> None:
        self.rest.ok("DELETE", self.path(plural, name), {"gracePeriodSeconds": 0})

    def quota(self, name: str, hard: Mapping[str, str], **spec: Any) -> None:
        """Make a quota, and wait until it tells what is used."""
        self.create("resourcequotas", name, spec={"hard": hard, **spec})

        def counted() -> bool:
            status = self.rest.ok("GET", self.path("resourcequotas", name)).get("status") or {}
            return status.get("hard") == hard and set(status.get("used") or ()) == set(hard)

        until(counted, "the quota tells what is used")

    def uses(self, name: str, **wanted: str) -> None:
        """Wait until a quota tells that so much is used; `_` stands for a dot."""

        def found() -> bool:
            used = self.rest.ok("GET", self.path("resourcequotas", name))["status"]["used"]
            return all(used.get(key.replace("_", ".")) == value for key, value in wanted.items())

        until(found, f"{name} tells of {wanted}")


@pytest.fixture
def space(api_only: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    rest = Rest(api_only.kubeconfig)
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    made = Space(rest, name)
    until(lambda: rest("GET", made.path("serviceaccounts", "default"))[0] == 200, "the account is there")
    until(lambda: rest("GET", made.path("configmaps", "kube-root-ca.crt"))[0] == 200, "the authority is there")
    yield made
    rest("DELETE", f"/api/v1/namespaces/{name}")


def pod(limits: Mapping[str, str] | None = None, requests: Mapping[str, str] | None = None, **more: Any) -> Any:
    resources = {"limits": limits or {}, "requests": requests or limits or {}}
    return {"containers": [{"name": "c", "image": "nginx", "resources": resources}], **more}


def controller(name: str, selector: Any) -> Any:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod()}
    return {"replicas": 0, "selector": selector, "template": template}


def test_a_quota_tells_promptly_what_is_used(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated."""
    space.quota("q", {"resourcequotas": "1", "pods": "5", "requests.cpu": "1"})
    space.uses("q", resourcequotas="1", pods="0", requests_cpu="0")


def test_a_quota_follows_the_life_of_a_service(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service."""
    space.quota("q", {"services": "3", "services.loadbalancers": "1", "services.nodeports": "1"})
    ports = [{"port": 80}]
    space.create("services", "plain", spec={"ports": ports})
    space.create("services", "node", spec={"ports": ports, "type": "NodePort"})
    space.uses("q", services="2", services_nodeports="1", services_loadbalancers="0")
    # One with a port of the nodes would be the second.
    assert "services.nodeports" in space.refused("services", "more", spec={"ports": ports, "type": "LoadBalancer"})
    balanced = {"ports": ports, "type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}
    space.create("services", "balanced", spec=balanced)
    space.uses("q", services="3", services_nodeports="1", services_loadbalancers="1")
    assert "services=1" in space.refused("services", "more", spec={"ports": ports})
    for name in ("plain", "node", "balanced"):
        space.delete("services", name)
    space.uses("q", services="0", services_nodeports="0", services_loadbalancers="0")


@pytest.mark.parametrize("plural", ["secrets", "configmaps"])
def test_a_quota_follows_the_life_of(space: Space, plural: str) -> None:
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret.
    [sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a configMap.
    """
    before = len(space.rest.ok("GET", space.path(plural))["items"])
    space.quota("q", {plural: str(before + 1)})
    space.uses("q", **{plural: str(before)})
    space.create(plural, "one")
    space.uses("q", **{plural: str(before + 1)})
    space.refused(plural, "two")
    space.delete(plural, "one")
    space.uses("q", **{plural: str(before)})


def test_a_quota_follows_the_life_of_a_pod(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod."""
    hard = {"pods": "2", "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi", "requests.example.com/dongle": "3"}
    space.quota("q", hard)
    own = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"}
    space.create("pods", "one", spec=pod(own))
    space.uses("q", pods="1", cpu="500m", memory="252Mi", **{"requests_example_com/dongle": "2"})
    assert "cpu=600m" in space.refused("pods", "two", spec=pod({**own, "cpu": "600m", "example.com/dongle": "1"}))
    assert "dongle=2" in space.refused("pods", "two", spec=pod({**own, "cpu": "100m", "memory": "1Mi"}))
    given = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]}}
    strategic = "application/strategic-merge-patch+json"
    assert space.rest("PATCH", space.path("pods", "one"), given, Content_Type=strategic)[0] == 422
    space.delete("pods", "one")
    space.uses("q", pods="0", cpu="0", memory="0", **{"requests_example_com/dongle": "0"})


def test_a_quota_follows_the_life_of_a_replication_controller(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication
    controller.
    """
    space.quota("q", {"replicationcontrollers": "1"})
    space.create("replicationcontrollers", "one", spec=controller("one", {"app": "one"}))
    space.uses("q", replicationcontrollers="1")
    space.refused("replicationcontrollers", "two", spec=controller("two", {"app": "two"}))
    space.delete("replicationcontrollers", "one")
    space.uses("q", replicationcontrollers="0")


def test_a_quota_follows_the_life_of_a_replica_set(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replica set."""
    space.quota("q", {"count/replicasets.apps": "1"})
    space.create("replicasets", "one", spec=controller("one", {"matchLabels": {"app": "one"}}))
    space.uses("q", **{"count/replicasets_apps": "1"})
    space.refused("replicasets", "two", spec=controller("two", {"matchLabels": {"app": "two"}}))
    space.delete("replicasets", "one")
    space.uses("q", **{"count/replicasets_apps": "0"})


def test_a_quota_is_updated_and_deleted(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota."""
    space.quota("q", {"cpu": "1", "memory": "500Mi"})
    path = space.path("resourcequotas", "q")
    found = space.rest.ok("GET", path)
    assert found["spec"]["hard"] == {"cpu": "1", "memory": "500Mi"}
    found["spec"]["hard"] = {"cpu": "2", "memory": "1Gi"}
    assert space.rest.ok("PUT", path, found)["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    until(lambda: space.rest.ok("GET", path)["status"]["hard"] == {"cpu": "2", "memory": "1Gi"}, "it is in force")
    space.rest.ok("DELETE", path)
    assert space.rest("GET", path)[0] == 404


def test_a_quotas_life_from_beginning_to_end(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota"""
    label = {"quota": space.name}
    space.create("resourcequotas", "q", metadata={"labels": label}, spec={"hard": {"cpu": "1", "memory": "500Mi"}})
    chosen = f"/api/v1/resourcequotas?labelSelector=quota%3D{space.name}"
    (listed,) = space.rest.ok("GET", chosen)["items"]
    assert listed["metadata"]["namespace"] == space.name
    patch = {"metadata": {"labels": {"q": "patched"}}, "spec": {"hard": {"memory": "750Mi"}}}
    patched = space.rest.ok("PATCH", space.path("resourcequotas", "q"), patch, Content_Type=MERGE)
    assert patched["metadata"]["labels"] == {**label, "q": "patched"}
    assert patched["spec"]["hard"] == {"cpu": "1", "memory": "750Mi"}
    space.rest.ok("DELETE", space.path("resourcequotas") + f"?labelSelector=quota%3D{space.name}")
    assert not space.rest.ok("GET", chosen)["items"]


def test_a_quotas_status_is_changed_by_itself(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status"""
    hard = {"cpu": "500m", "memory": "500Mi"}
    space.quota("q", hard)
    path = space.path("resourcequotas", "q")
    began = space.rest.ok("GET", path)["metadata"]["resourceVersion"]
    status = {"hard": {"cpu": "250m", "memory": "250Mi"}}
    patched = space.rest.ok("PATCH", f"{path}/status", {"status": status, "spec": {"hard": {}}}, Content_Type=MERGE)
    assert patched["status"]["hard"] == status["hard"]
    assert patched["spec"]["hard"] == hard
    # The controller sets it right again, for whom it may concern to see.
    query = f"?fieldSelector=metadata.name%3Dq&resourceVersion={began}"
    events = space.rest.watch(space.path("resourcequotas") + query, 2)
    assert [one["object"]["status"]["hard"] for one in events] == [status["hard"], hard]
    found = space.rest.ok("GET", f"{path}/status")
    found["status"]["used"] = {"cpu": "100m", "memory": "0"}
    assert space.rest.ok("PUT", f"{path}/status", found)["status"]["used"]["cpu"] == "100m"


def test_a_quota_for_best_effort_counts_no_others(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope."""
    space.quota("best", {"pods": "1"}, scopes=["BestEffort"])
    space.quota("other", {"pods": "1"}, scopes=["NotBestEffort"])
    space.create("pods", "effort", spec=pod())
    space.uses("best", pods="1")
    space.uses("other", pods="0")
    space.refused("pods", "second", spec=pod())
    space.create("pods", "sized", spec=pod({"cpu": "500m"}))
    space.uses("other", pods="1")
    space.delete("pods", "effort")
    space.uses("best", pods="0")
    space.uses("other", pods="1")
    space.delete("pods", "sized")
    space.uses("other", pods="0")


def test_a_quota_for_what_ends_counts_nothing_else(space: Space) -> None:
    """[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes."""
    hard = {"pods": "1", "requests.cpu": "1", "limits.cpu": "2", "requests.memory": "1Gi", "limits.memory": "2Gi"}
    space.quota("ending", hard, scopes=["Terminating"])
    space.quota("lasting", hard, scopes=["NotTerminating"])
    limits, requests = {"cpu": "1", "memory": "400Mi"}, {"cpu": "500m", "memory": "200Mi"}
    counted = {"requests_cpu": "500m", "limits_cpu": "1", "requests_memory": "200Mi", "limits_memory": "400Mi"}
    space.create("pods", "lasts", spec=pod(limits, requests))
    space.uses("lasting", pods="1", **counted)
    space.uses("ending", pods="0", requests_cpu="0")
    space.delete("pods", "lasts")
    space.uses("lasting", pods="0", requests_cpu="0")
    space.create("pods", "ends", spec=pod(limits, requests, activeDeadlineSeconds=3600))
    space.uses("ending", pods="1", **counted)
    space.uses("lasting", pods="0", limits_memory="0")
    space.refused("pods", "more", spec=pod(limits, requests, activeDeadlineSeconds=3600))
    space.delete("pods", "ends")
    space.uses("ending", pods="0", limits_memory="0")
