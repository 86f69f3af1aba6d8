"""A StatefulSet's status: its counts, and the revisions between which it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.controller.statefulset import identity
from knarr.controller.statefulset.history import History


def is_ready(pod: Object) -> bool:
    """Whether a pod runs and is ready."""
    return pod_state.phase(pod) == "Running" and pod_state.is_ready(pod)


def is_available(pod: Object, stateful_set: Object, now: datetime) -> bool:
    """Whether a pod runs and has been ready for as long as the set asks for."""
    return is_ready(pod) and pod_state.is_available(pod, patience(stateful_set), now)


def is_going(pod: Object) -> bool:
    """Whether a pod is being deleted."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def patience(stateful_set: Object) -> int:
    """Seconds for which a pod must have been ready."""
    return int(stateful_set["spec"].get("minReadySeconds") or 0)


def of(stateful_set: Object, history: History, pods: Sequence[Object], now: datetime) -> Object:
    """The status; zeros are left out where the API does."""
    current, update = history.current["metadata"]["name"], history.update["metadata"]["name"]
    made_of = [identity.revision(pod) for pod in pods if not is_going(pod)]
    counts = {
        "readyReplicas": sum(is_ready(pod) for pod in pods),
        "currentReplicas": made_of.count(current),
        "updatedReplicas": made_of.count(update),
        "observedGeneration": stateful_set["metadata"].get("generation", 0),
    }
    found: Object = {name: count for name, count in counts.items() if count}
    found["replicas"] = len(pods)
    found["availableReplicas"] = sum(is_available(pod, stateful_set, now) for pod in pods)
    found |= {"currentRevision": current, "updateRevision": update, "collisionCount": history.collisions}
    if _has_rolled(stateful_set, found):
        found["currentRevision"] = update
        if counts["updatedReplicas"]:
            found["currentReplicas"] = counts["updatedReplicas"]
    return found


def _has_rolled(stateful_set: Object, found: Object) -> bool:
    """Whether every pod asked for is there, ready, and of the new revision."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    names = ("updatedReplicas", "readyReplicas", "replicas")
    counts = [found.get(name, 0) for name in names]
    return strategy.get("type") == "RollingUpdate" and counts == [identity.replicas(stateful_set)] * len(names)


def differs(stateful_set: Object, found: Object) -> bool:
    """Whether the status that is stored tells something else; what others have put into it does not count."""
    known = stateful_set.get("status") or {}
    names = (
        "observedGeneration",
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "currentReplicas",
        "updatedReplicas",
        "currentRevision",
        "updateRevision",
        "collisionCount",
    )
    return any(known.get(name, 0) != found.get(name, 0) for name in names)
