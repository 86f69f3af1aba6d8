"""What a Job reads from a pod: its index, whether it has ended and how, when, and whether it is counted yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from knarr.api.semantics import conditions, pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object

#: Keeps a pod until it is counted.
TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
#: How often the pods of an index have failed before this one, and how many of these failures did not count.
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
_MAX = 2**31 - 1
_PHASES = {"Pending": 0, "": 0, "Unknown": 1, "Running": 2}


def is_tracked(pod: Object) -> bool:
    """Whether the pod has not been counted for good."""
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def index(pod: Object) -> int | None:
    """The completion index, or None for a pod that has no valid one."""
    return _number((pod["metadata"].get("annotations") or {}).get(INDEX))


def failures(pod: Object) -> int:
    """How often its index had failed when the pod was made, ignored failures aside."""
    return _number((pod["metadata"].get("annotations") or {}).get(FAILURES)) or 0


def ignored_failures(pod: Object) -> int:
    """How many failures of its index had been ignored when the pod was made."""
    return _number((pod["metadata"].get("annotations") or {}).get(IGNORED_FAILURES)) or 0


def _number(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 10:
        return None
    return int(text) if int(text) <= _MAX else None


def has_succeeded(pod: Object) -> bool:
    """Whether all its containers have ended well."""
    return pod_state.phase(pod) == "Succeeded"


def has_failed(pod: Object, job: Object) -> bool:
    """Whether the pod is a failure. A deleted pod is one at once, unless only failed pods are replaced."""
    phase = pod_state.phase(pod)
    if phase == "Failed" or job["spec"].get("podReplacementPolicy") == "Failed":
        return phase == "Failed"
    return bool(pod["metadata"].get("deletionTimestamp")) and phase != "Succeeded"


def finished_at(pod: Object) -> datetime:
    """When the pod ended: by its containers, else by its readiness, its deletion, its creation."""
    return (
        _containers_ended(pod)
        or _readiness_lost(pod)
        or _deleted_at(pod)
        or timestamps.parse(pod["metadata"]["creationTimestamp"])
    )


def _containers_ended(pod: Object) -> datetime | None:
    status = pod.get("status") or {}
    sidecars = {
        container["name"]
        for container in pod["spec"].get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    states = [*(status.get("containerStatuses") or ())]
    states += [state for state in status.get("initContainerStatuses") or () if state.get("name") in sidecars]
    ends = [((state.get("state") or {}).get("terminated") or {}).get("finishedAt") for state in states]
    if not ends or not all(ends):
        return None
    return max(timestamps.parse(str(end)) for end in ends)


def _readiness_lost(pod: Object) -> datetime | None:
    ready = conditions.find(pod, "Ready")
    if ready is None or ready.get("status") != "False":
        return None
    return timestamps.parse_optional(ready.get("lastTransitionTime"))


def _deleted_at(pod: Object) -> datetime | None:
    meta = pod["metadata"]
    deletion = timestamps.parse_optional(meta.get("deletionTimestamp"))
    return deletion - timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0) if deletion else None


def by_index(pods: Iterable[Object]) -> list[Object]:
    """Pods in the order of their indexes; those without one come first."""

    def place(pod: Object) -> int:
        found = index(pod)
        return -1 if found is None else found

    return sorted(pods, key=place)


def least_useful_first(pods: Iterable[Object]) -> list[Object]:
    """Active pods in the order in which they are given up.

    Unscheduled, pending, not ready, ready since lately, restarted often, young: the earlier of these says more.
    """

    def use(pod: Object) -> tuple[object, ...]:
        ready = pod_state.is_ready(pod)
        since = (pod_state.ready_condition(pod) or {}).get("lastTransitionTime") if ready else None
        return (
            bool(pod["spec"].get("nodeName")),
            _PHASES.get(pod_state.phase(pod), 0),
            ready,
            -_seconds(since),
            -pod_state.restarts(pod),
            -_seconds(pod["metadata"].get("creationTimestamp")),
        )

    return sorted(pods, key=use)


def _seconds(text: str | None) -> float:
    return timestamps.parse(text).timestamp() if text else float("inf")
