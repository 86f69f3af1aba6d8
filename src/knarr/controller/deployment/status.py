"""A Deployment's status: its numbers, and the conditions Available, Progressing and ReplicaFailure."""

from __future__ import annotations

from datetime import timedelta

from knarr.api.semantics import conditions
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.deployment import replica_sets as sets
from knarr.controller.deployment.draft import Draft

_AVAILABLE, _PROGRESSING, _FAILURE = "Available", "Progressing", "ReplicaFailure"
_DONE, _TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
#: `progressDeadlineSeconds` that stands for none.
_NO_DEADLINE = 2**31 - 1


def deadline(deployment: Object) -> int | None:
    """Seconds within which progress must show, or None."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, _NO_DEADLINE) else int(seconds)


def numbers(draft: Draft) -> Object:
    """The status without its conditions; zeros are left out, as the API does."""
    available = sets.total_counted(draft.all, "availableReplicas")
    new = [draft.new] if draft.new is not None else []
    counts = {
        "observedGeneration": draft.deployment["metadata"].get("generation", 0),
        "replicas": sets.total_counted(draft.all, "replicas"),
        "updatedReplicas": sets.total_counted(new, "replicas"),
        "readyReplicas": sets.total_counted(draft.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sets.total(draft.all) - available),
    }
    status: Object = {name: count for name, count in counts.items() if count}
    going = [(item.get("status") or {}).get("terminatingReplicas") for item in draft.all]
    known = [count for count in going if count is not None]
    if len(known) == len(going):
        status["terminatingReplicas"] = sum(known)
    if draft.collisions:
        status["collisionCount"] = draft.collisions
    return status


def set_available(draft: Draft, status: Object) -> None:
    """The condition Available."""
    deployment = draft.deployment
    least = sets.replicas(deployment) - sets.max_unavailable(deployment)
    if status.get("availableReplicas", 0) >= least:
        message = "Deployment has minimum availability."
        draft.set_condition(_AVAILABLE, "True", "MinimumReplicasAvailable", message)
    else:
        message = "Deployment does not have minimum availability."
        draft.set_condition(_AVAILABLE, "False", "MinimumReplicasUnavailable", message)


def set_progressing(draft: Draft, status: Object) -> None:
    """The condition Progressing, during a rollout."""
    if deadline(draft.deployment) is None:
        draft.conditions = conditions.without(draft.conditions, _PROGRESSING)
        return
    present = conditions.of_type(draft.conditions, _PROGRESSING)
    settled = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    if settled and present is not None and present.get("reason") == _DONE:
        return
    subject = f'ReplicaSet "{draft.new["metadata"]["name"]}"' if draft.new else f'Deployment "{_name(draft)}"'
    if is_complete(draft.deployment, status):
        draft.set_condition(_PROGRESSING, "True", _DONE, f"{subject} has successfully progressed.")
    elif _has_progressed(draft.deployment, status):
        _refresh(draft, present, f"{subject} is progressing.")
    elif _has_timed_out(draft, present):
        draft.set_condition(_PROGRESSING, "False", _TIMED_OUT, f"{subject} has timed out progressing.")


def _refresh(draft: Draft, present: Object | None, message: str) -> None:
    """Progress restarts the clock, even where the condition says so already."""
    draft.conditions = conditions.without(draft.conditions, _PROGRESSING)
    draft.set_condition(_PROGRESSING, "True", "ReplicaSetUpdated", message)
    if present is not None and present["status"] == "True":
        draft.conditions[-1]["lastTransitionTime"] = present["lastTransitionTime"]


def set_failure(draft: Draft) -> None:
    """The condition ReplicaFailure: what a ReplicaSet reports, the new one before the others."""
    new = [draft.new] if draft.new is not None else []
    found = (conditions.find(item, _FAILURE) for item in [*new, *draft.old])
    failure = next((condition for condition in found if condition is not None), None)
    if failure is None:
        draft.conditions = conditions.without(draft.conditions, _FAILURE)
        return
    draft.set_condition(_FAILURE, failure["status"], failure.get("reason", ""), failure.get("message", ""))


def set_paused(draft: Draft) -> None:
    """While a Deployment is paused, no progress is expected of it."""
    present = conditions.of_type(draft.conditions, _PROGRESSING) or {}
    if deadline(draft.deployment) is None or present.get("reason") == _TIMED_OUT:
        return
    paused, noted = bool(draft.deployment["spec"].get("paused")), present.get("reason") == "DeploymentPaused"
    if paused and not noted:
        draft.set_condition(_PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused")
    elif not paused and noted:
        draft.set_condition(_PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed")


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all pods are new and available and nothing else is left."""
    wanted = sets.replicas(deployment)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    generation = deployment["metadata"].get("generation", 0)
    return counts == [wanted] * 3 and status.get("observedGeneration", 0) >= generation


def _has_progressed(deployment: Object, status: Object) -> bool:
    old = deployment.get("status") or {}

    def more(field: str) -> bool:
        return bool(status.get(field, 0) > old.get(field, 0))

    def outdated(counts: Object) -> int:
        return int(counts.get("replicas", 0)) - int(counts.get("updatedReplicas", 0))

    return (
        more("updatedReplicas")
        or outdated(status) < outdated(old)
        or more("readyReplicas")
        or more("availableReplicas")
    )


def _has_timed_out(draft: Draft, present: Object | None) -> bool:
    seconds = deadline(draft.deployment)
    if present is None or seconds is None or present.get("reason") == _DONE:
        return False
    if present.get("reason") == _TIMED_OUT:
        return True
    since = timestamps.parse(present["lastUpdateTime"])
    return since + timedelta(seconds=seconds) < draft.context.now


def next_check(draft: Draft, status: Object) -> float | None:
    """Seconds until lack of progress would be too long, or None when nothing is expected."""
    seconds = deadline(draft.deployment)
    present = conditions.of_type(draft.conditions, _PROGRESSING)
    if seconds is None or present is None or present.get("reason") in (_TIMED_OUT, "DeploymentPaused"):
        return None
    if is_complete(draft.deployment, status):
        return None
    due = timestamps.parse(present["lastUpdateTime"]) + timedelta(seconds=seconds)
    return max(1.0, (due - draft.context.now).total_seconds() + 1.0)


def _name(draft: Draft) -> str:
    return str(draft.deployment["metadata"]["name"])
