"""What the scheduler writes: bindings, the `PodScheduled` condition, and events, as kube-scheduler writes them."""

from __future__ import annotations

from datetime import datetime

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.scheduler.pod_info import PodInfo

UNSCHEDULABLE, SCHEDULER_ERROR = "Unschedulable", "SchedulerError"
SCHEDULED, FAILED = "Scheduled", "FailedScheduling"
_CONDITION = "PodScheduled"
#: Most characters of an event's note.
_LONGEST_NOTE = 1024


def binding(pod: PodInfo, node_name: str) -> Object:
    """The body for the pod's `binding` subresource."""
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
        "target": {"kind": "Node", "name": node_name},
    }


def not_scheduled(pod: PodInfo, reason: str, message: str, now: datetime) -> Object | None:
    """The strategic merge patch of the pod's status that says why it has no node; `None` if it says so already."""
    conditions = (pod.obj.get("status") or {}).get("conditions") or ()
    current = next((item for item in conditions if item.get("type") == _CONDITION), None)
    generation = pod.obj["metadata"].get("generation")
    condition: Object = {"type": _CONDITION, "status": "False", "reason": reason, "message": message}
    if generation:
        condition["observedGeneration"] = generation
    if current is not None and all(current.get(key) == value for key, value in condition.items()):
        return None
    same_status = current is not None and current.get("status") == "False"
    moment = current.get("lastTransitionTime") if same_status and current else None
    condition.update(lastProbeTime=None, lastTransitionTime=moment or timestamps.seconds(now))
    return {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}


def scheduled(pod: PodInfo, node_name: str) -> Object:
    """The event of success, without name and time."""
    note = f"Successfully assigned {pod.namespace}/{pod.name} to {node_name}"
    return _event(pod, "Normal", SCHEDULED, "Binding", note)


def failed(pod: PodInfo, message: str) -> Object:
    """The event of failure, without name and time."""
    return _event(pod, "Warning", FAILED, "Scheduling", shortened(message))


def _event(pod: PodInfo, kind: str, reason: str, action: str, note: str) -> Object:
    regarding = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "resourceVersion": pod.obj["metadata"].get("resourceVersion", ""),
    }
    return {"type": kind, "reason": reason, "action": action, "note": note, "regarding": regarding}


def shortened(message: str) -> str:
    """A message that fits into an event."""
    return message if len(message) <= _LONGEST_NOTE else message[: _LONGEST_NOTE - len(" ...")] + " ..."
