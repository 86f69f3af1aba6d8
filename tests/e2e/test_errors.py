"""Bad input: Kubernetes' own errors, with the field named, and nothing changed."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request

import pytest
from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import pod


def test_an_image_that_does_not_exist(cluster: Cluster, ns: str) -> None:
    cluster.apply(pod("box", "true").replace("image: busybox", "image: no-such-image:9"), ns)

    def waiting() -> str:
        found = cluster.json("get", "pod", "box", "-n", ns)["status"].get("containerStatuses") or [{}]
        return str(found[0].get("state", {}).get("waiting", {}).get("reason", ""))

    until(lambda: waiting() == "ErrImagePull", "the pull failed")
    until(lambda: waiting() == "ImagePullBackOff", "it waits")
    events = cluster.kubectl("get", "events", "-n", ns)
    assert "Failed to pull image" in events
    assert "no-such-image:9" in events
    assert "ImagePullBackOff" in cluster.kubectl("get", "pod", "box", "-n", ns)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (pod("box", "true").replace("name: main", "name: Main_1"), "spec.containers[0].name: Invalid value"),
        (pod("box", "true").replace("image: busybox", "image: ''"), "spec.containers[0].image: Required value"),
        (
            pod("box", "true", container="resources: {limits: {cpu: 1}, requests: {cpu: 2}}"),
            "must be less than or equal to cpu limit",
        ),
        (pod("box", "true", extra="restartPolcy: Never"), 'unknown field "spec.restartPolcy"'),
        ("apiVersion: v1\nkind: Podd\nmetadata: {name: x}", 'no matches for kind "Podd"'),
        (
            "apiVersion: apps/v2\nkind: Deployment\nmetadata: {name: x}",
            'no matches for kind "Deployment" in version "apps/v2"',
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 70000}]}",
            "spec.ports[0].port: Invalid value",
        ),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: [1]", "data"),
    ],
    ids=["name", "image", "limits", "field", "kind", "version", "port", "type"],
)
def test_an_invalid_manifest_is_refused_and_changes_nothing(
    cluster: Cluster, ns: str, manifest: str, message: str
) -> None:
    before = cluster.kubectl("get", "all,configmaps", "-n", ns, "-o", "name")
    refused = cluster.try_kubectl("apply", "-n", ns, "-f", "-", text=manifest)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert cluster.kubectl("get", "all,configmaps", "-n", ns, "-o", "name") == before


def test_a_namespace_that_does_not_exist(cluster: Cluster) -> None:
    refused = cluster.try_kubectl("create", "configmap", "x", "-n", "nowhere")
    assert refused.stderr == 'error: failed to create configmap: namespaces "nowhere" not found\n'


def test_no_rights(cluster: Cluster, ns: str) -> None:
    refused = cluster.try_kubectl("get", "secrets", "-n", ns, "--as=jane")
    expected = (
        f'secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "{ns}"'
    )
    assert expected in refused.stderr
    anonymous = cluster.try_kubectl(
        "get", "--raw", "/api/v1/nodes", "--as=system:anonymous", "--as-group=system:unauthenticated"
    )
    assert 'User "system:anonymous" cannot list resource "nodes"' in anonymous.stderr


def test_nobody_without_credentials_is_let_in(cluster: Cluster) -> None:
    address = cluster.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    for path in ("/version", "/readyz", "/api"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(address + path, context=ssl._create_unverified_context(), timeout=60)
        with refused.value as answer:
            assert (answer.code, json.load(answer)["reason"]) == (401, "Unauthorized"), path


def test_a_pod_that_fits_nowhere_says_why(cluster: Cluster, ns: str) -> None:
    cluster.apply(pod("huge", "true", container="resources: {requests: {cpu: 1000}}"), ns)

    def condition() -> dict[str, str]:
        found = cluster.json("get", "pod", "huge", "-n", ns)["status"].get("conditions", [])
        return next((dict(one) for one in found if one["type"] == "PodScheduled"), {})

    until(lambda: condition().get("reason") == "Unschedulable", "the scheduler has tried")
    assert condition()["message"].startswith("0/1 nodes are available: 1 Insufficient cpu.")
    until(lambda: "FailedScheduling" in cluster.kubectl("get", "events", "-n", ns), "an event says so")


def test_stale_updates_conflict(cluster: Cluster, ns: str) -> None:
    cluster.kubectl("create", "configmap", "c", "-n", ns, "--from-literal=a=1")
    stale = cluster.json("get", "configmap", "c", "-n", ns)
    cluster.kubectl("patch", "configmap", "c", "-n", ns, "-p", '{"data":{"a":"2"}}')
    stale["data"]["a"] = "3"
    refused = cluster.try_kubectl("replace", "-f", "-", text=json.dumps(stale))
    assert "the object has been modified" in refused.stderr
    assert cluster.json("get", "configmap", "c", "-n", ns)["data"]["a"] == "2"
