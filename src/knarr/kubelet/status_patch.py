"""The patch that brings a pod's status on the API server to what the kubelet knows.

Input: status there, status here. Output: a strategic merge patch, or None when nothing is to be said.
Conditions that others own (readiness gates, DisruptionTarget) stay.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.apimachinery.types import Object

_ADDRESSES = ("hostIPs", "podIPs")
#: What only the kubelet writes: absent here means to be taken away.
_OWNED = ("reason", "message")
_OWN_CONDITIONS = frozenset({"PodResizeInProgress"})


def status_patch(uid: str, old: Object, new: Object) -> Object | None:
    """The patch; `uid` guards against a later pod of the same name."""
    changed: Object = {}
    for key, value in new.items():
        if key == "conditions":
            if conditions := _conditions(old.get(key) or (), value):
                changed[key] = conditions
        elif old.get(key) != value:
            changed[key] = _addresses(old.get(key) or [], value) if key in _ADDRESSES else value
    changed |= {key: None for key in _OWNED if key in old and key not in new}
    return {"metadata": {"uid": uid}, "status": changed} if changed else None


def _conditions(old: Iterable[Object], new: Iterable[Object]) -> list[Object]:
    before = {each["type"]: _plain(each) for each in old}
    new = list(new)
    over = (before.keys() & _OWN_CONDITIONS) - {each["type"] for each in new}
    return [{"$patch": "delete", "type": kind} for kind in sorted(over)] + [
        # Conditions are merged field by field: what a condition no longer says has to be taken away.
        {**dict.fromkeys(before.get(each["type"], ())), **each}
        for each in new
        if before.get(each["type"]) != _plain(each)
    ]


def _plain(condition: Object) -> Object:
    """A null time is an absent one."""
    return {key: value for key, value in condition.items() if value is not None}


def _addresses(old: list[Object], new: list[Object]) -> list[Object]:
    """Lists of addresses are merged by address: what is no longer there has to be replaced as a whole."""
    gone = any(each not in new for each in old)
    return [{"$patch": "replace"}, *new] if gone else new
