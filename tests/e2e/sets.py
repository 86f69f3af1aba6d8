"""StatefulSets and DaemonSets of tests: small pods whose readiness is a file, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.e2e.cluster import Cluster, until
from tests.e2e.rest import Rest

MERGE = "application/merge-patch+json"
_PATIENCE = 180


class Space:
    """One namespace of a cluster."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.rest = Rest(cluster.kubeconfig)

    def path(self, plural: str, name: str = "") -> str:
        """The path of a collection or of one of its objects, with what follows the name."""
        root = "/api/v1" if plural in ("pods", "events", "services", "persistentvolumeclaims") else "/apis/apps/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def create(self, plural: str, obj: Any) -> Any:
        return self.rest.ok("POST", self.path(plural), obj)

    def get(self, plural: str, name: str) -> Any:
        return self.rest.ok("GET", self.path(plural, name))

    def patch(self, plural: str, name: str, patch: Any) -> Any:
        return self.rest.ok("PATCH", self.path(plural, name), patch, Content_Type=MERGE)

    def delete(self, plural: str, name: str) -> None:
        self.rest.ok("DELETE", self.path(plural, name))

    def listed(self, plural: str, **labels: str) -> list[Any]:
        selector = quote(",".join(f"{key}={value}" for key, value in labels.items()))
        found: list[Any] = self.rest.ok("GET", self.path(plural) + f"?labelSelector={selector}")["items"]
        return sorted(found, key=lambda item: item["metadata"]["name"])

    def pods(self, app: str) -> dict[str, Any]:
        return {pod["metadata"]["name"]: pod for pod in self.listed("pods", app=app)}

    def ready(self, app: str, count: int) -> dict[str, Any]:
        """Wait until an app has this many pods, all ready and staying."""

        def found() -> dict[str, Any] | None:
            pods = self.pods(app)
            return pods if len(pods) == count and all(map(is_ready, pods.values())) else None

        if not count:
            self.until(lambda: not self.pods(app), f"no pod of {app} is left")
            return {}
        pods: dict[str, Any] = self.until(found, f"{count} pods of {app} are ready")
        return pods

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait with the patience of a slow machine."""
        return until(condition, what, _PATIENCE)

    def version(self) -> str:
        """The revision that the namespace's pods are at now."""
        return str(self.rest.ok("GET", self.path("pods"))["metadata"]["resourceVersion"])

    def order(self, kind: str, app: str, since: str, count: int) -> list[str]:
        """The names of the first pods of an app with which this happened since a revision, in order."""

        def named(events: list[Any]) -> list[str]:
            return [event["object"]["metadata"]["name"] for event in events if event["type"] == kind]

        path = f"{self.path('pods')}?resourceVersion={since}&labelSelector=app%3D{app}"
        return named(self.rest.watch_until(path, lambda events: len(named(events)) == count))

    def break_pod(self, name: str) -> None:
        """Let a pod be ready no more."""
        self.cluster.kubectl("exec", "-n", self.namespace, name, "--", "rm", "-f", "/tmp/ready")
        self.until(lambda: not is_ready(self.get("pods", name)), f"{name} is not ready")

    def mend_pod(self, name: str) -> None:
        """Let a pod be ready again."""
        self.cluster.kubectl("exec", "-n", self.namespace, name, "--", "touch", "/tmp/ready")


def is_ready(pod: Any) -> bool:
    """Whether a pod is ready and stays."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def template(app: str, version: str = "1", starts: str = "touch /tmp/ready; ", **spec: Any) -> Any:
    """Pods that are ready while they have a file; one that `starts` without it is never ready by itself."""
    container = {
        "name": "main",
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", f"{starts}exec sleep 3600"],
        "env": [{"name": "VERSION", "value": version}],
        "readinessProbe": {"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1},
    }
    given = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return {"metadata": {"labels": {"app": app}}, "spec": given}


def version(pod: Any) -> str:
    """Of which template a pod was made."""
    return str(pod["spec"]["containers"][0]["env"][0]["value"])


def versions(pods: dict[str, Any]) -> dict[str, str]:
    """Of which template pods were made, by name."""
    return {name: version(pod) for name, pod in pods.items()}


def stateful_set(name: str, replicas: int, pod: Any = None, **spec: Any) -> Any:
    selector = {"matchLabels": {"app": name}}
    given = {"replicas": replicas, "serviceName": name, "selector": selector, "template": pod or template(name)}
    meta = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": {**given, **spec}}


def daemon_set(name: str, pod: Any = None, **spec: Any) -> Any:
    given = {"selector": {"matchLabels": {"app": name}}, "template": pod or template(name)}
    meta = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": {**given, **spec}}
