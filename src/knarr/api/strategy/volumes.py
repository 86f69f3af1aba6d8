"""Persistent volumes: when their phase changed."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_SINCE = "lastPhaseTransitionTime"


def create(obj: Object) -> None:
    """A new volume is pending since it was made."""
    obj["status"] = {"phase": "Pending", _SINCE: obj["metadata"].get("creationTimestamp")}


def update_status(obj: Object, old: Object, now: str) -> None:
    """Note the moment of a change of phase, unless the client does."""
    status, before = obj["status"], old["status"]
    if status.get("phase") == before.get("phase"):
        if _SINCE not in status and _SINCE in before:
            status[_SINCE] = before[_SINCE]
    elif now and status.get(_SINCE) == before.get(_SINCE):
        status[_SINCE] = now
    elif now:
        status.setdefault(_SINCE, now)
