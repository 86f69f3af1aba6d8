"""What a PodDisruptionBudget's status says: whether its pods may be disrupted; what a pod says that is to be.

Input: a budget's status and the time (RFC 3339). Output: new values; nothing is changed.
Source: https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
"""

from __future__ import annotations

from knarr.api.semantics import conditions
from knarr.apimachinery.types import Object

ALLOWED = "DisruptionAllowed"
#: The condition of a pod that somebody is about to end.
TARGET = "DisruptionTarget"


def target(pod: Object, now: str, *, status: str = "True", reason: str = "", message: str = "") -> Object:
    """The condition of a pod that is to be disrupted (or, status `False`, that was not)."""
    condition: Object = {"type": TARGET, "status": status, "lastTransitionTime": now}
    if generation := pod["metadata"].get("generation"):
        condition["observedGeneration"] = generation
    return {**condition, "reason": reason or None, "message": message or None}


def with_allowed(status: Object, now: str, failure: str = "") -> Object:
    """The status with the condition that goes with `disruptionsAllowed`; `failure`: why nobody knows."""
    enough = status.get("disruptionsAllowed", 0) > 0
    verdict = "True" if enough else "False"
    before = conditions.of_type(status.get("conditions") or (), ALLOWED) or {}
    condition: Object = {
        "type": ALLOWED,
        "status": verdict,
        "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == verdict else now,
        "reason": "SyncFailed" if failure else ("SufficientPods" if enough else "InsufficientPods"),
        "message": failure,
    }
    if status.get("observedGeneration"):
        condition["observedGeneration"] = status["observedGeneration"]
    return {**status, "conditions": conditions.replaced(status.get("conditions") or (), condition)}
