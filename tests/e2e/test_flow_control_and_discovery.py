"""The specification's [sig-api-machinery] entries of priority and fairness, and of discovery, over plain HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

pytestmark = pytest.mark.rootless
MERGE = "application/merge-patch+json"
GROUP = "/apis/flowcontrol.apiserver.k8s.io"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
SCHEMA = {
    "matchingPrecedence": 10000,
    "priorityLevelConfiguration": {"name": "global-default"},
    "distinguisherMethod": {"type": "ByUser"},
    "rules": [
        {
            "subjects": [{"kind": "User", "user": {"name": "example-e2e-non-existent-user"}}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }
    ],
}
LEVEL = {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}

_NUMBERS = itertools.count()


@pytest.fixture
def rest(api_only: Cluster) -> Rest:
    return Rest(api_only.kubeconfig)


# Priority and fairness


def changed_flow(spec: Any) -> None:
    spec["matchingPrecedence"] = 9999


def changed_level(spec: Any) -> None:
    spec["limited"]["nominalConcurrencyShares"] = 4


@pytest.mark.parametrize(
    ("plural", "spec", "patch", "change"),
    [
        ("flowschemas", SCHEMA, {"matchingPrecedence": 9998}, changed_flow),
        ("prioritylevelconfigurations", LEVEL, {"limited": {"nominalConcurrencyShares": 3}}, changed_level),
    ],
)
def test_flow_control_supports_its_api_operations(rest: Rest, plural: str, spec: Any, patch: Any, change: Any) -> None:
    """[sig-api-machinery] API priority and fairness should support FlowSchema API operations
    [sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations
    """
    assert "flowcontrol.apiserver.k8s.io" in {one["name"] for one in rest.ok("GET", "/apis")["groups"]}
    versions = rest.ok("GET", GROUP)["versions"]
    assert {"groupVersion": "flowcontrol.apiserver.k8s.io/v1", "version": "v1"} in versions
    served = {one["name"]: set(one["verbs"]) for one in rest.ok("GET", f"{GROUP}/v1")["resources"]}
    assert served[plural] == VERBS
    assert served[f"{plural}/status"] == {"get", "patch", "update"}

    path, chosen = f"{GROUP}/v1/{plural}", f"?labelSelector=special-label%3De2e-{plural}"
    meta = {"generateName": "e2e-example-", "labels": {"special-label": f"e2e-{plural}"}}
    made = [rest.ok("POST", path, {"metadata": meta, "spec": spec})["metadata"] for _ in range(3)]
    here = f"{path}/{made[0]['name']}"
    assert rest.ok("GET", here)["metadata"]["uid"] == made[0]["uid"]
    assert len(rest.ok("GET", path + chosen)["items"]) == 3

    annotated = {"metadata": {"annotations": {"patched": "true"}}, "spec": patch}
    patched = rest.ok("PATCH", here, annotated, Content_Type=MERGE)
    assert patched["metadata"]["annotations"]["patched"] == "true"
    assert patched["metadata"]["generation"] == 2
    change(patched["spec"])
    # The condition of a schema may have come meanwhile.
    del patched["metadata"]["resourceVersion"]
    assert rest.ok("PUT", here, patched)["spec"] == patched["spec"]
    began = made[-1]["resourceVersion"]
    events = rest.watch(f"{path}{chosen}&resourceVersion={began}", 2)
    assert {one["type"] for one in events} == {"MODIFIED"}

    condition = {"type": "Test", "status": "True", "reason": "E2E", "message": "set"}
    given = rest.ok("PATCH", f"{here}/status", {"status": {"conditions": [condition]}}, Content_Type=MERGE)
    assert condition.items() <= given["status"]["conditions"][0].items()
    del given["metadata"]["resourceVersion"]
    given["status"]["conditions"][0]["message"] = "changed"
    assert rest.ok("PUT", f"{here}/status", given)["status"]["conditions"][0]["message"] == "changed"
    assert any(one["type"] == "Test" for one in rest.ok("GET", f"{here}/status")["status"]["conditions"])

    rest.ok("DELETE", here)
    assert rest("GET", here)[0] == 404
    rest.ok("DELETE", path + chosen)
    assert not rest.ok("GET", path + chosen)["items"]


# Discovery

BUILT_IN = {
    ("apps", "deployments", "Deployment", "Namespaced"),
    ("batch", "jobs", "Job", "Namespaced"),
    ("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", "Cluster"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", "Cluster"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "FlowSchema", "Cluster"),
    ("", "pods", "Pod", "Namespaced"),
    ("", "namespaces", "Namespace", "Cluster"),
}


def aggregated(rest: Rest, path: str) -> set[tuple[str, str, str, str]]:
    """Group, plural, kind and scope of all resources in an aggregated document."""
    document = rest.ok("GET", path, Accept=AGGREGATED)
    assert (document["kind"], document["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    return {
        (group["metadata"].get("name", ""), one["resource"], one["responseKind"]["kind"], one["scope"])
        for group in document["items"]
        for version in group["versions"]
        for one in version["resources"]
    }


@pytest.fixture
def definition(rest: Rest) -> Iterator[tuple[str, str, str, str]]:
    # A definition goes some time after it is told to: the next one has another name.
    group, plural = f"discovered{next(_NUMBERS)}.example.com", "finds"
    schema = {"openAPIV3Schema": {"type": "object"}}
    spec = {
        "group": group,
        "scope": "Cluster",
        "names": {"plural": plural, "kind": "Find"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    rest.ok("POST", CRDS, {"metadata": {"name": f"{plural}.{group}"}, "spec": spec})
    yield group, plural, "Find", "Cluster"
    rest.ok("DELETE", f"{CRDS}/{plural}.{group}")


def test_aggregated_discovery_has_all_that_is_built_in(rest: Rest) -> None:
    """[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface"""
    assert aggregated(rest, "/apis") | aggregated(rest, "/api") >= BUILT_IN
    # Each group by itself says the same.
    plain = set()
    for version in [one["preferredVersion"]["groupVersion"] for one in rest.ok("GET", "/apis")["groups"]]:
        for item in rest.ok("GET", f"/apis/{version}")["resources"]:
            if "/" not in item["name"]:
                scope = "Namespaced" if item["namespaced"] else "Cluster"
                plain.add((version.split("/")[0], item["name"], item["kind"], scope))
    assert plain <= aggregated(rest, "/apis")


def test_aggregated_discovery_has_custom_resources(rest: Rest, definition: tuple[str, str, str, str]) -> None:
    """[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs"""
    until(lambda: definition in aggregated(rest, "/apis"), "the custom resource is there")


def test_a_raw_request_for_aggregated_discovery_has_custom_resources(
    rest: Rest, definition: tuple[str, str, str, str]
) -> None:
    """[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs"""
    group, plural, kind, scope = definition

    def found() -> list[Any]:
        return [one for one in rest.ok("GET", "/apis", Accept=AGGREGATED)["items"] if one["metadata"]["name"] == group]

    (item,) = until(found, "the group is there")
    (version,) = item["versions"]
    (resource,) = version["resources"]
    assert (version["version"], version["freshness"]) == ("v1", "Current")
    assert (resource["resource"], resource["scope"]) == (plural, scope)
    assert resource["responseKind"]["kind"] == kind
    assert {"create", "deletecollection", "get", "list", "watch"} <= set(resource["verbs"])


def test_aggregated_discovery_is_what_the_accept_header_asks_for(rest: Rest) -> None:
    """[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers"""
    # What is preferred is answered, in the order of the header; whoever does not ask gets lists of groups.
    for accept in (AGGREGATED, f"{AGGREGATED},application/json", f"application/nothing,{AGGREGATED}"):
        assert rest.ok("GET", "/apis", Accept=accept)["kind"] == "APIGroupDiscoveryList"
        assert rest.ok("GET", "/api", Accept=accept)["kind"] == "APIGroupDiscoveryList"
    for accept in ("application/json", "*/*", f"application/json,{AGGREGATED}"):
        assert rest.ok("GET", "/apis", Accept=accept)["kind"] == "APIGroupList"
        assert rest.ok("GET", "/api", Accept=accept)["kind"] == "APIVersions"


def test_each_group_has_its_version_and_resources(rest: Rest) -> None:
    """[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup"""
    found = {
        "apps": "deployments",
        "apiextensions.k8s.io": "customresourcedefinitions",
        "policy": "poddisruptionbudgets",
    }
    found |= {"storage.k8s.io": "storageclasses", "coordination.k8s.io": "leases", "discovery.k8s.io": "endpointslices"}
    groups = {one["name"]: one for one in rest.ok("GET", "/apis")["groups"]}
    for name, plural in found.items():
        preferred = groups[name]["preferredVersion"]
        assert preferred in groups[name]["versions"]
        listed = rest.ok("GET", f"/apis/{preferred['groupVersion']}")
        assert listed["groupVersion"] == preferred["groupVersion"]
        assert plural in {one["name"] for one in listed["resources"]}


def test_the_servers_version_is_made_of_numbers(rest: Rest) -> None:
    """[sig-api-machinery] server version should find the server version"""
    version = rest.ok("GET", "/version")
    assert version["major"].isdigit()
    assert version["minor"].isdigit()
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")
