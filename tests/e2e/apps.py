"""A namespace for tests of workloads, reached over plain HTTP, and a kubelet played by hand where there is no node."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import Any

from tests.e2e.cluster import until
from tests.e2e.rest import Rest

MERGE = "application/merge-patch+json"
GROUPS = {"deployments": "apis/apps/v1", "replicasets": "apis/apps/v1", "poddisruptionbudgets": "apis/policy/v1"}
#: Answers HTTP with the pod's name.
SERVE = "mkdir /tmp/www; hostname > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"


class Apps:
    """Requests in one namespace. `plays` says whether pods become ready by hand."""

    def __init__(self, rest: Rest, name: str, *, plays: bool) -> None:
        self.rest, self.name, self.plays = rest, name, plays

    def path(self, plural: str, name: str = "", sub: str = "") -> str:
        root = f"/{GROUPS.get(plural, 'api/v1')}/namespaces/{self.name}/{plural}"
        return root + (f"/{name}" if name else "") + (f"/{sub}" if sub else "")

    def create(self, plural: str, obj: Any) -> Any:
        return self.rest.ok("POST", self.path(plural), obj)

    def get(self, plural: str, name: str, sub: str = "") -> Any:
        return self.rest.ok("GET", self.path(plural, name, sub))

    def put(self, plural: str, obj: Any, sub: str = "") -> Any:
        return self.rest.ok("PUT", self.path(plural, obj["metadata"]["name"], sub), obj)

    def patch(self, plural: str, name: str, patch: Any, sub: str = "") -> Any:
        return self.rest.ok("PATCH", self.path(plural, name, sub), patch, Content_Type=MERGE)

    def delete(self, plural: str, name: str = "", query: str = "") -> Any:
        return self.rest.ok("DELETE", self.path(plural, name) + query)

    def pods(self) -> list[Any]:
        """The pods that are not about to go."""
        return [pod for pod in self.list("pods") if not pod["metadata"].get("deletionTimestamp")]

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until a condition holds; without a node, pods become ready meanwhile."""

        def tried() -> Any:
            if self.plays:
                self.make_ready()
            return condition()

        return until(tried, what, 240)

    def make_ready(self) -> None:
        for pod in self.pods():
            if not is_ready(pod) and not is_broken(pod):
                ready = [{"type": "Ready", "status": "True"}]
                status = {"status": {"phase": "Running", "conditions": ready}}
                # It may have gone meanwhile.
                path = self.path("pods", pod["metadata"]["name"], "status")
                code, answer = self.rest("PATCH", path, status, Content_Type=MERGE)
                assert code in (200, 404, 409), answer

    def ready_pods(self) -> list[Any]:
        return [pod for pod in self.pods() if is_ready(pod)]

    def wait_for_pods(self, count: int) -> list[Any]:
        """Wait for so many ready pods, and no others."""

        def as_wanted() -> list[Any] | None:
            pods = self.list("pods")
            return pods if len(pods) == count and all(map(is_ready, pods)) else None

        found: list[Any] = self.wait(lambda: as_wanted() if count else not self.list("pods"), f"{count} pods are ready")
        return found

    def settled(self, name: str) -> Any:
        """Wait until a Deployment is complete; the Deployment."""

        def complete() -> Any:
            found = self.get("deployments", name)
            status, replicas = found.get("status") or {}, found["spec"]["replicas"]
            counts = [status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas")]
            seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
            return found if seen and counts == [replicas] * 3 else None

        return self.wait(complete, f"Deployment {name} is complete")

    def list(self, plural: str, **labels: str) -> list[Any]:
        wanted = urllib.parse.quote(",".join(f"{name}={value}" for name, value in labels.items()))
        query = f"?labelSelector={wanted}" if wanted else ""
        found: list[Any] = self.rest.ok("GET", self.path(plural) + query)["items"]
        return found


def is_ready(pod: Any) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def is_broken(pod: Any) -> bool:
    """Whether the image is one that there is not."""
    return bool(pod["spec"]["containers"][0]["image"] == "no-such-image")


def template(app: str, command: str = "exec sleep 3600", image: str = "busybox", **labels: str) -> Any:
    container = {"name": "c", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"metadata": {"labels": {"app": app, **labels}}, "spec": spec}


def pod(name: str, app: str) -> Any:
    return {**template(app), "metadata": {"name": name, "labels": {"app": app}}}


def deployment(name: str, replicas: int, made: Any = None, **spec: Any) -> Any:
    selected = {"matchLabels": {"app": name}}
    given = {"replicas": replicas, "selector": selected, "template": made or template(name), **spec}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": given}


def replica_set(name: str, replicas: int, made: Any = None) -> Any:
    return deployment(name, replicas, made)


def replication_controller(name: str, replicas: int, made: Any = None) -> Any:
    spec = {"replicas": replicas, "selector": {"app": name}, "template": made or template(name)}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def owners(obj: Any) -> list[str]:
    """The names of those who have an object."""
    return [owner["name"] for owner in obj["metadata"].get("ownerReferences") or ()]
