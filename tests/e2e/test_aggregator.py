"""The specification's [sig-api-machinery] Aggregator: an extension API server in a pod, reached through this one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.cluster import Cluster, kubectls, until
from tests.e2e.rest import Rest
from tests.extension_api import BASE, GROUP, VERSION

from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock

NAME = f"{VERSION}.{GROUP}"
SCRIPT = Path(__file__).parents[1] / "extension_api.py"


class Wardle:
    """The extension API server of a namespace."""

    def __init__(self, cluster: Cluster, ns: str, folder: Path) -> None:
        self.cluster, self.ns, self.rest = cluster, ns, Rest(cluster.kubeconfig)
        now = RealClock().now()
        authority = Authority.load_or_create(folder, "wardle-ca", now)
        leaf = Leaf("wardle", dns=(f"wardle.{ns}.svc",), server=True)
        pair = authority.issue(leaf, now)
        self.bundle = base64.b64encode(authority.certificate).decode()
        trust = self.rest.ok("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
        self.files = {
            "tls.crt": pair.certificate.decode(),
            "tls.key": pair.key.decode(),
            "proxies.crt": trust["data"]["requestheader-client-ca-file"],
            "extension_api.py": SCRIPT.read_text(),
        }

    def deploy(self) -> None:
        container = {
            "name": "wardle",
            "image": "python",
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "/wardle/extension_api.py", "/wardle"],
            "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
            "volumeMounts": [{"name": "wardle", "mountPath": "/wardle"}],
        }
        spec = {
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [{"name": "wardle", "secret": {"secretName": "wardle"}}],
        }
        labels = {"app": "wardle"}
        template = {"metadata": {"labels": labels}, "spec": spec}
        objects: list[Any] = [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wardle"}, "stringData": self.files},
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "wardle"},
                "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "wardle"},
                "spec": {"selector": labels, "ports": [{"port": 443, "targetPort": 8443}]},
            },
        ]
        for one in objects:
            self.cluster.apply(json.dumps(one), self.ns)

    def register(self) -> None:
        spec = {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 2000,
            "versionPriority": 200,
            "caBundle": self.bundle,
            "service": {"name": "wardle", "namespace": self.ns, "port": 443},
        }
        obj = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": NAME},
            "spec": spec,
        }
        self.cluster.apply(json.dumps(obj), self.ns)

    def condition(self) -> Any:
        found = self.cluster.json("get", "apiservice", NAME).get("status") or {}
        return (found.get("conditions") or [{}])[0]


@pytest.fixture
def wardle(cluster: Cluster, ns: str, tmp_path: Path) -> Iterator[Wardle]:
    made = Wardle(cluster, ns, tmp_path)
    yield made
    cluster.try_kubectl("delete", "apiservice", NAME, "--ignore-not-found")


def test_an_extension_api_server_is_aggregated(cluster: Cluster, ns: str, wardle: Wardle) -> None:
    """[sig-api-machinery] Aggregator Should be able to support the 1.17 Sample API Server using
    the current Aggregator
    """
    wardle.register()
    until(lambda: wardle.condition().get("reason") == "ServiceNotFound", "the Service is missed")
    unavailable = cluster.try_kubectl("get", "--raw", f"{BASE}/flunders")
    assert unavailable.returncode != 0
    assert "currently unable to handle the request" in unavailable.stderr
    wardle.deploy()
    cluster.kubectl("rollout", "status", "deployment/wardle", "-n", ns, "--timeout=180s")
    cluster.kubectl("wait", f"apiservice/{NAME}", "--for=condition=Available", "--timeout=180s")
    assert wardle.condition()["reason"] == "Passed"
    for binary in kubectls():
        flunder = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flunder", "metadata": {"name": "one"}, "spec": {"x": 1}}
        cluster.kubectl("create", "-n", ns, "--validate=false", "-f", "-", text=json.dumps(flunder), binary=binary)
        listed = json.loads(cluster.kubectl("get", "fl", "-n", ns, "-o", "json", binary=binary))
        assert [one["metadata"]["name"] for one in listed["items"]] == ["one"]
        patch = '{"spec":{"x":2}}'
        cluster.kubectl("patch", "flunder", "one", "-n", ns, "--type=merge", "-p", patch, binary=binary)
        assert json.loads(cluster.kubectl("get", "flunder", "one", "-n", ns, "-o", "json"))["spec"] == {"x": 2}
        cluster.kubectl("delete", "flunder", "one", "-n", ns, binary=binary)
    assert f"flunders.{GROUP}" in cluster.kubectl("api-resources", "-o", "name").split()
    assert "A flunder" in cluster.kubectl("explain", "flunders")


def test_the_user_behind_a_request_is_named_to_the_extension(cluster: Cluster, ns: str, wardle: Wardle) -> None:
    wardle.deploy()
    wardle.register()
    cluster.kubectl("rollout", "status", "deployment/wardle", "-n", ns, "--timeout=180s")
    cluster.kubectl("wait", f"apiservice/{NAME}", "--for=condition=Available", "--timeout=180s")
    seen = json.loads(cluster.kubectl("get", "--raw", f"{BASE}/whoami?a=b"))
    assert seen["X-Remote-User"] == ["admin"] and "system:masters" in seen["X-Remote-Group"]
    assert seen["query"] == "a=b" and seen["Authorization"] is None
    head, connection = wardle.rest.upgrade(f"{BASE}/namespaces/{ns}/flunders/a/echo", "echo")
    with connection:
        assert head.startswith(b"HTTP/1.1 101 ")
        connection.sendall(b"hello")
        said = b""
        while len(said) < len(b"admin:hello"):
            said += connection.recv(100)
        assert said == b"admin:hello"
    user = ("--as", "jane", "--as-group", "team")
    refused = cluster.try_kubectl("get", "--raw", f"{BASE}/whoami", *user)
    assert "forbidden" in refused.stderr.lower()
    name = f"whoami-{ns}"
    rules = [{"apiGroups": [GROUP], "resources": ["whoami"], "verbs": ["list"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    cluster.apply(json.dumps({**role, "rules": rules}), ns)
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", "--user=jane")
    try:
        seen = json.loads(cluster.kubectl("get", "--raw", f"{BASE}/whoami", *user))
        assert seen["X-Remote-User"] == ["jane"] and "team" in seen["X-Remote-Group"]
        assert seen["Impersonate-User"] is None
    finally:
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", name)
