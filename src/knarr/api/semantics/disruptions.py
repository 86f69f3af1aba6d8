"""What a PodDisruptionBudget's status says: whether its pods may be disrupted.

Input: a budget's status and the time (RFC 3339). Output: new values; nothing is changed.
Source: https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
"""

from __future__ import annotations

from knarr.api.semantics import conditions
from knarr.apimachinery.types import Object

ALLOWED = "DisruptionAllowed"


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
