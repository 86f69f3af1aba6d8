"""Volume attribute classes stay while a claim or a volume refers to them.

Input: a class, all claims and volumes. Output: it with its finalizer, or without once it is being deleted and nobody
refers to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import PVCS, PVS, VOLUMEATTRIBUTESCLASSES
from knarr.apimachinery.types import Object
from knarr.controller_runtime import finalizers
from knarr.controller_runtime.changes import DONE, Context, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

_FINALIZER = "kubernetes.io/vac-protection"


def _reconcile(key: Key, snapshot: Snapshot, _context: Context) -> Result:
    found = snapshot.get(*key)
    if found is None:
        return DONE
    if not found["metadata"].get("deletionTimestamp"):
        return finalizers.added(VOLUMEATTRIBUTESCLASSES, found, _FINALIZER)
    users = (*snapshot.list(PVCS), *snapshot.list(PVS))
    if not finalizers.is_held(found, _FINALIZER) or any(key.name in _class_names(user) for user in users):
        return DONE
    return finalizers.removed(VOLUMEATTRIBUTESCLASSES, found, _FINALIZER)


def _class_names(user: Object) -> set[str]:
    """The attribute classes that a claim or volume refers to."""
    spec, status = user.get("spec") or {}, user.get("status") or {}
    names = (
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return {name for name in names if name}


def _left(old: Object | None, new: Object | None, _snapshot: Snapshot) -> Iterable[Key]:
    """The classes that a claim or volume does not refer to any more."""
    left = (_class_names(old) if old else set()) - (_class_names(new) if new else set())
    return [Key(VOLUMEATTRIBUTESCLASSES, "", name) for name in left]


CONTROLLER = Controller(
    name="volumeattributesclass-protection-controller",
    resource=VOLUMEATTRIBUTESCLASSES,
    watches=(
        Watch(VOLUMEATTRIBUTESCLASSES, itself(VOLUMEATTRIBUTESCLASSES)),
        Watch(PVCS, _left),
        Watch(PVS, _left),
    ),
    writes=("update volumeattributesclasses",),
    reconcile=_reconcile,
)
