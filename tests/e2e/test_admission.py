"""Quotas, limit ranges, Pod Security and storage in use, as kubectl shows them; on a cluster without a node."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.cluster import Cluster, until

pytestmark = pytest.mark.rootless

_QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: few}
spec: {hard: {pods: "3", limits.memory: 1Gi, count/deployments.apps: "1"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: sizes}
spec:
  limits:
  - {type: Container, default: {memory: 64Mi}, max: {memory: 256Mi}}
  - {type: PersistentVolumeClaim, max: {storage: 5Gi}}
"""
_CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
_USER = """
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  nodeName: elsewhere
  containers: [{name: c, image: i}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


@pytest.fixture
def namespace(api_only: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace with its account."""
    name = "admission-" + str(abs(hash(request.node.name)) % 10_000)
    api_only.kubectl("create", "namespace", name)
    account = ("get", "serviceaccount", "default", "-n", name)
    until(lambda: api_only.try_kubectl(*account).returncode == 0, "the account is there")
    yield name
    api_only.try_kubectl("delete", "namespace", name, "--wait=false")


def _used(cluster: Cluster, namespace: str) -> dict[str, str]:
    status = cluster.json("get", "quota", "few", "-n", namespace).get("status") or {}
    used: dict[str, str] = status.get("used") or {}
    return used


def test_a_quota_holds_and_is_described(api_only: Cluster, namespace: str) -> None:
    api_only.apply(_QUOTA, namespace)
    until(lambda: _used(api_only, namespace).get("pods") == "0", "the quota is in force")
    create = ("-n", namespace, "--image", "i", "--restart", "Never")
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda number: api_only.try_kubectl("run", f"p{number}", *create), range(6)))
    refused = [one.stderr for one in done if one.returncode]
    assert len(refused) == 3
    text = "is forbidden: exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"
    assert all(text in one for one in refused)
    rows = [line.split() for line in api_only.kubectl("describe", "quota", "few", "-n", namespace).splitlines()]
    assert ["limits.memory", "192Mi", "1Gi"] in rows
    assert ["pods", "3", "3"] in rows
    described = api_only.kubectl("describe", "limits", "sizes", "-n", namespace)
    assert ["Container", "memory", "-", "256Mi", "64Mi", "64Mi", "-"] in [
        line.split() for line in described.splitlines()
    ]
    api_only.kubectl("delete", "pod", "--all", "-n", namespace, "--force", "--grace-period=0")
    until(lambda: _used(api_only, namespace)["pods"] == "0", "what was used is given back")


def test_pod_security_refuses_and_warns(api_only: Cluster, namespace: str) -> None:
    label = "pod-security.kubernetes.io"
    api_only.kubectl("label", "ns", namespace, f"{label}/enforce=baseline", f"{label}/warn=restricted")
    warned = api_only.try_kubectl("create", "deployment", "d", "--image", "i", "-n", namespace)
    assert warned.returncode == 0
    assert 'Warning: would violate PodSecurity "restricted:latest"' in warned.stderr
    override = '{"spec":{"hostNetwork":true}}'
    refused = api_only.try_kubectl("run", "p", "--image", "i", "-n", namespace, "--overrides", override)
    assert 'violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)' in refused.stderr


def test_a_claim_that_a_pod_mounts_goes_when_the_pod_has_gone(api_only: Cluster, namespace: str) -> None:
    api_only.apply(_CLAIM, namespace)
    api_only.apply(_USER, namespace)
    api_only.kubectl("delete", "pvc", "data", "-n", namespace, "--wait=false")
    shown = api_only.kubectl("get", "pvc", "data", "-n", namespace)
    assert "Terminating" in shown
    api_only.kubectl("delete", "pod", "user", "-n", namespace, "--force", "--grace-period=0")
    gone = ("get", "pvc", "data", "-n", namespace)
    until(lambda: "NotFound" in api_only.try_kubectl(*gone).stderr, "the claim is gone")
