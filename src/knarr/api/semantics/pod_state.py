"""What a pod's status means: ready, available, active, terminal.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from knarr.api.semantics import conditions
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object

#: A pod that was not available for this long yet has no remaining seconds.
_NEVER = float("inf")


def phase(pod: Object) -> str:
    """The phase; empty where the status has none."""
    return str((pod.get("status") or {}).get("phase") or "")


def is_terminal(pod: Object) -> bool:
    """Whether all containers have ended for good."""
    return phase(pod) in ("Succeeded", "Failed")


def is_terminating(pod: Object) -> bool:
    """Whether the pod has been deleted and has not ended yet."""
    return not is_terminal(pod) and bool(pod["metadata"].get("deletionTimestamp"))


def is_active(pod: Object) -> bool:
    """Whether the pod runs or will, and is not being deleted."""
    return not is_terminal(pod) and not pod["metadata"].get("deletionTimestamp")


def ready_condition(pod: Object) -> Object | None:
    """The condition `Ready`."""
    return conditions.find(pod, "Ready")


def is_ready(pod: Object) -> bool:
    """Whether the condition `Ready` is true."""
    condition = ready_condition(pod)
    return condition is not None and condition.get("status") == "True"


def seconds_until_available(pod: Object, min_ready_seconds: int, now: datetime) -> float:
    """Seconds until the pod has been ready for long enough; 0 if it has, infinite if it is not ready."""
    condition = ready_condition(pod)
    if condition is None or condition.get("status") != "True":
        return _NEVER
    if min_ready_seconds == 0:
        return 0.0
    since = timestamps.parse_optional(condition.get("lastTransitionTime"))
    if since is None:
        return _NEVER
    return max(0.0, min_ready_seconds - (now - since).total_seconds())


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for at least that long."""
    return seconds_until_available(pod, min_ready_seconds, now) <= 0


def restarts(pod: Object) -> int:
    """The highest restart count of its containers."""
    status = pod.get("status") or {}
    return _most_restarts((*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())))


def restart_counts(pod: Object) -> tuple[int, int]:
    """The highest restart counts of its containers, and of its sidecars."""
    status = pod.get("status") or {}
    init = pod["spec"].get("initContainers") or ()
    sidecars = {item["name"] for item in init if item.get("restartPolicy") == "Always"}
    beside = [item for item in status.get("initContainerStatuses") or () if item.get("name") in sidecars]
    return _most_restarts(status.get("containerStatuses") or ()), _most_restarts(beside)


def _most_restarts(states: Sequence[Object]) -> int:
    return max((int(state.get("restartCount") or 0) for state in states), default=0)
