"""Jobs as the API server stores them, and a kubelet that does to their pods what a test says."""

from __future__ import annotations

from typing import Any

from tests.fakes.api import FakeApi

from knarr.api.registry import JOBS, PODS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object

INDEX = "batch.kubernetes.io/job-completion-index"


def job(name: str = "work", *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """A Job with the defaults and the selector that the API server gives it; fields of None are left out."""
    found = labels or {"batch.kubernetes.io/controller-uid": f"uid-of-{name}", "job-name": name}
    template = {
        "metadata": {"labels": found},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]},
    }
    whole = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": dict(list(found.items())[:1])},
        "template": template,
    } | spec
    meta = {"name": name, "namespace": "default"}
    return {"metadata": meta, "spec": {field: value for field, value in whole.items() if value is not None}}


class Kubelet:
    """Lets pods run and end."""

    def __init__(self, api: FakeApi) -> None:
        self.api = api

    def pods(self, name: str = "work") -> list[Object]:
        """The pods that a Job controls, in the order of their indexes and creation."""
        found = [pod for pod in self.api.list(PODS) if _owner(pod) == name]
        return sorted(found, key=lambda pod: int((pod["metadata"].get("annotations") or {}).get(INDEX, 0)))

    def active(self, name: str = "work") -> list[Object]:
        """Those that have not ended and are not deleted."""
        return [pod for pod in self.pods(name) if not _ended(pod) and not pod["metadata"].get("deletionTimestamp")]

    def run(self, pod: Object) -> None:
        """The pod is on a node and ready."""
        place = _place(pod)
        self.api.change_spec(PODS, *place, nodeName="n")
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": timestamps.seconds(self.api.clock.now())}
        self.api.set_status(PODS, *place, phase="Running", conditions=[ready])

    def end(self, pod: Object, code: int = 0, *conditions: str) -> None:
        """The container ends."""
        now = timestamps.seconds(self.api.clock.now())
        state = {"name": "c", "state": {"terminated": {"exitCode": code, "finishedAt": now}}}
        found = [{"type": kind, "status": "True"} for kind in conditions]
        found.append({"type": "Ready", "status": "False", "lastTransitionTime": now})
        phase = "Failed" if code or conditions else "Succeeded"
        self.api.set_status(PODS, *_place(pod), phase=phase, containerStatuses=[state], conditions=found)

    def remove(self, pod: Object) -> None:
        """A deleted pod has stopped on its node."""
        self.api.delete(PODS, _place(pod), {"gracePeriodSeconds": 0})

    def status(self, name: str = "work") -> Object:
        """A Job's status."""
        found: Object = self.api.get(JOBS, "default", name).get("status") or {}
        return found

    def conditions(self, name: str = "work") -> list[tuple[str, str, str]]:
        """A Job's conditions: type, status, reason."""
        return [(item["type"], item["status"], item["reason"]) for item in self.status(name).get("conditions", [])]


def index_of(pod: Object) -> int:
    """The completion index of a pod."""
    return int(pod["metadata"]["annotations"][INDEX])


def _owner(pod: Object) -> str:
    return next((owner["name"] for owner in pod["metadata"].get("ownerReferences") or ()), "")


def _ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _place(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
