"""A DaemonSet's status: its counts of nodes."""

from __future__ import annotations

from collections import Counter

from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.controller.daemonset.draft import Draft

#: Those are told even when they are 0.
_ALWAYS = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
_COUNTS = (*_ALWAYS, "updatedNumberScheduled", "numberAvailable", "numberUnavailable")


def of(draft: Draft, collisions: int) -> Object:
    """The status; conditions that others have put into it stay."""
    counts: Counter[str] = Counter()
    for node, fit in draft.fits.items():
        pods = draft.pods.get(node) or ()
        if not fit.run:
            counts["numberMisscheduled"] += bool(pods)
            continue
        counts["desiredNumberScheduled"] += 1
        counts["currentNumberScheduled"] += bool(pods)
        for pod in pods[:1]:
            counts["numberReady"] += pod_state.is_ready(pod)
            counts["numberAvailable"] += draft.is_available(pod)
            counts["updatedNumberScheduled"] += draft.is_new(pod)
    counts["numberUnavailable"] = counts["desiredNumberScheduled"] - counts["numberAvailable"]
    known = draft.daemon_set.get("status") or {}
    found: Object = {name: value for name, value in known.items() if name not in _COUNTS}
    found |= {name: counts[name] for name in _COUNTS if counts[name] or name in _ALWAYS}
    found["observedGeneration"] = draft.daemon_set["metadata"].get("generation", 0)
    if collisions:
        found["collisionCount"] = collisions
    return found
