"""Keeps claims, volumes and their attribute classes from going while somebody uses them.

Input: a claim, volume or class, who uses it. Output: the same object without its finalizer when it is being deleted and
nobody uses it, with the finalizer when it lacks it. Invariant: a claim's finalizer goes only after a live read has
shown no pod that uses it.
Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.registry import PODS, PVCS, PVS, VOLUMEATTRIBUTESCLASSES
from knarr.api.resources import Resource
from knarr.api.semantics.owners import is_controlled_by
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Read, Result, Update
from knarr.controller_runtime.controller import Controller, KeysOf, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

_CLAIM = "kubernetes.io/pvc-protection"
_VOLUME = "kubernetes.io/pv-protection"
_CLASS = "kubernetes.io/vac-protection"


def _with(resource: Resource, obj: Object, finalizer: str) -> Result:
    finalizers = obj["metadata"].get("finalizers") or []
    return _finalized(resource, obj, [*finalizers, finalizer]) if finalizer not in finalizers else DONE


def _without(resource: Resource, obj: Object, finalizer: str) -> Result:
    return _finalized(resource, obj, [item for item in obj["metadata"]["finalizers"] if item != finalizer])


def _finalized(resource: Resource, obj: Object, finalizers: list[str]) -> Result:
    return Result((Update(resource, {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}),))


def _is_going(obj: Object, finalizer: str) -> bool:
    """Whether an object would be gone but for the finalizer, and others."""
    return bool(obj["metadata"].get("deletionTimestamp")) and finalizer in (obj["metadata"].get("finalizers") or ())


# claims


def _claim(key: Key, snapshot: Snapshot, context: Context) -> Result:
    claim = snapshot.get(*key)
    if claim is None:
        return DONE
    if not claim["metadata"].get("deletionTimestamp"):
        return _with(PVCS, claim, _CLAIM)
    if not _is_going(claim, _CLAIM) or _is_used(claim, snapshot.list(PODS, key.namespace)):
        return DONE
    read = Read(PODS, key.namespace)
    if read not in context.live:
        return Result(reads=(read,))
    pods = (context.live[read] or {}).get("items") or ()
    return DONE if _is_used(claim, pods) else _without(PVCS, claim, _CLAIM)


def _is_used(claim: Object, pods: Iterable[Object]) -> bool:
    return any(_uses(pod, claim) for pod in pods)


def _uses(pod: Object, claim: Object) -> bool:
    """Whether a pod that has its node mounts a claim; others find it gone when they get theirs."""
    spec, name = pod.get("spec") or {}, claim["metadata"]["name"]
    if not spec.get("nodeName"):
        return False
    for volume in spec.get("volumes") or ():
        source = volume.get("persistentVolumeClaim")
        if source is not None and source.get("claimName") == name:
            return True
        if volume.get("ephemeral") is not None and name == _ephemeral_name(pod, volume) and not _is_shut_down(pod):
            return is_controlled_by(claim, pod)
    return False


def _ephemeral_name(pod: Object, volume: Object) -> str:
    return f"{pod['metadata']['name']}-{volume['name']}"


def _is_shut_down(pod: Object) -> bool:
    meta = pod["metadata"]
    return bool(meta.get("deletionTimestamp")) and meta.get("deletionGracePeriodSeconds") == 0


def _claims_of_pod(old: Object | None, new: Object | None, _snapshot: Snapshot) -> Iterable[Key]:
    """The claims of a pod that has ended, is gone, or has its node now."""
    return {Key(PVCS, pod["metadata"]["namespace"], name) for pod in (old, new) if pod for name in _claim_names(pod)}


def _claim_names(pod: Object) -> Iterator[str]:
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim") is not None:
            yield volume["persistentVolumeClaim"].get("claimName", "")
        elif volume.get("ephemeral") is not None:
            yield _ephemeral_name(pod, volume)


CLAIMS = Controller(
    name="pvc-protection-controller",
    resource=PVCS,
    watches=(Watch(PVCS, itself(PVCS)), Watch(PODS, _claims_of_pod)),
    writes=("update persistentvolumeclaims",),
    reconcile=_claim,
)


# volumes


def _volume(key: Key, snapshot: Snapshot, _context: Context) -> Result:
    volume = snapshot.get(*key)
    if volume is None:
        return DONE
    if not volume["metadata"].get("deletionTimestamp"):
        return _with(PVS, volume, _VOLUME)
    bound = (volume.get("status") or {}).get("phase") == "Bound"
    return DONE if bound or not _is_going(volume, _VOLUME) else _without(PVS, volume, _VOLUME)


VOLUMES = Controller(
    name="pv-protection-controller",
    resource=PVS,
    watches=(Watch(PVS, itself(PVS)),),
    writes=("update persistentvolumes",),
    reconcile=_volume,
)


# attribute classes


def _class(key: Key, snapshot: Snapshot, _context: Context) -> Result:
    found = snapshot.get(*key)
    if found is None:
        return DONE
    if not found["metadata"].get("deletionTimestamp"):
        return _with(VOLUMEATTRIBUTESCLASSES, found, _CLASS)
    users = (*snapshot.list(PVCS), *snapshot.list(PVS))
    if not _is_going(found, _CLASS) or any(key.name in _class_names(user) for user in users):
        return DONE
    return _without(VOLUMEATTRIBUTESCLASSES, found, _CLASS)


def _class_names(user: Object) -> set[str]:
    """The attribute classes that a claim or volume refers to."""
    spec, status = user.get("spec") or {}, user.get("status") or {}
    names = (
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return {name for name in names if name}


def _classes_left() -> KeysOf:
    """Wakes the classes that a claim or volume does not refer to any more."""

    def keys(old: Object | None, new: Object | None, _snapshot: Snapshot) -> Iterable[Key]:
        left = (_class_names(old) if old else set()) - (_class_names(new) if new else set())
        return [Key(VOLUMEATTRIBUTESCLASSES, "", name) for name in left]

    return keys


CLASSES = Controller(
    name="volumeattributesclass-protection-controller",
    resource=VOLUMEATTRIBUTESCLASSES,
    watches=(
        Watch(VOLUMEATTRIBUTESCLASSES, itself(VOLUMEATTRIBUTESCLASSES)),
        Watch(PVCS, _classes_left()),
        Watch(PVS, _classes_left()),
    ),
    writes=("update volumeattributesclasses",),
    reconcile=_class,
)
