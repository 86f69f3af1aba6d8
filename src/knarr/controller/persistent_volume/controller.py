"""The volume binder: one worker for claims and volumes, so that no two rounds give away the same volume.

Input: whichever of claims, volumes, classes and pods has changed. Output: the rounds of `claims` and `volumes`. A
change wakes what depends on it: nothing is looked at again because time has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.registry import PODS, PVCS, PVS, STORAGECLASSES
from knarr.api.semantics import pod_claims, volume_binding
from knarr.apimachinery.types import Object
from knarr.controller.persistent_volume import claims, recycling, volumes
from knarr.controller_runtime.changes import DONE, Context, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.snapshot import CLAIM, UNBOUND, VOLUME, Key, Snapshot

_ENDED = ("Succeeded", "Failed")


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a claim or of a volume."""
    obj = snapshot.get(*key)
    if obj is None:
        return DONE
    if key.resource is PVCS:
        return claims.sync(obj, snapshot, context)
    return volumes.sync(obj, snapshot, context)


def _woken_by_claim(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A claim wakes itself, the volume it names, and those reserved for it."""
    obj = new or old or {}
    key = key_of(PVCS, obj)
    found = {key_of(PVS, volume) for volume in snapshot.indexed(PVS, CLAIM, f"{key.namespace}/{key.name}")}
    if name := obj["spec"].get("volumeName"):
        found.add(Key(PVS, "", name))
    return (*found, key) if new is not None else found


def _woken_by_volume(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A volume wakes itself and the claims it is reserved for; one that is free wakes all that may want it."""
    key = key_of(PVS, new or old or {})
    found = {key} if new is not None else set()
    for obj in (old, new):
        if obj is not None and (ref := obj["spec"].get("claimRef")):
            found.add(Key(PVCS, ref.get("namespace", ""), ref.get("name", "")))
    found.update(key_of(PVCS, claim) for claim in snapshot.indexed(PVCS, VOLUME, key.name))
    if new is not None and _is_free(new) and not (old is not None and _is_free(old) and _same(old, new)):
        found.update(key_of(PVCS, claim) for claim in _wanting(volume_binding.class_name(new), snapshot))
    return found


def _is_free(volume: Object) -> bool:
    return not volume["spec"].get("claimRef") and (volume.get("status") or {}).get("phase") == "Available"


def _same(old: Object, new: Object) -> bool:
    return bool(old["spec"] == new["spec"] and old["metadata"].get("labels") == new["metadata"].get("labels"))


def _wanting(class_name: str, snapshot: Snapshot) -> Iterator[Object]:
    return iter(snapshot.indexed(PVCS, UNBOUND, class_name))


def _woken_by_class(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A class that has come or changed wakes its claims; a default one those that name no class."""
    if new is None:
        return ()
    wanting = list(_wanting(new["metadata"]["name"], snapshot))
    if volume_binding.default_class([new]) is not None:
        wanting += [claim for claim in _wanting("", snapshot) if not volume_binding.has_class(claim)]
    return [key_of(PVCS, claim) for claim in wanting]


def _woken_by_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A new pod wakes the claims it waits for; one that ends, volumes that wait to be recycled."""
    obj = new or old or {}
    meta, spec = obj["metadata"], obj.get("spec") or {}
    if not spec.get("volumes"):
        return ()
    if new is None or (new.get("status") or {}).get("phase") in _ENDED:
        return _released_by(obj, snapshot)
    if old is not None or spec.get("nodeName"):
        return ()
    named = [snapshot.get(PVCS, meta["namespace"], name) for name in pod_claims.names(obj)]
    return [key_of(PVCS, claim) for claim in named if claim is not None and not claim["spec"].get("volumeName")]


def _released_by(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    meta = pod["metadata"]
    if meta["namespace"] == recycling.NAMESPACE and meta["name"].startswith(recycling.PREFIX):
        return [Key(PVS, "", meta["name"].removeprefix(recycling.PREFIX))]
    places = [f"{meta['namespace']}/{name}" for name in pod_claims.names(pod)]
    reserved = [volume for place in places for volume in snapshot.indexed(PVS, CLAIM, place)]
    return [key_of(PVS, each) for each in reserved if each["spec"].get("persistentVolumeReclaimPolicy") == "Recycle"]


CONTROLLER = Controller(
    name="persistent-volume-binder",
    title="persistentvolume-binder-controller",
    component="persistentvolume-controller",
    resource=PVCS,
    watches=(
        Watch(PVCS, _woken_by_claim),
        Watch(PVS, _woken_by_volume),
        Watch(STORAGECLASSES, _woken_by_class),
        Watch(PODS, _woken_by_pod),
    ),
    writes=(
        "update persistentvolumes, persistentvolumes/status",
        "update persistentvolumeclaims, persistentvolumeclaims/status",
        "create, delete pods",
    ),
    reconcile=reconcile,
    workers=1,
)
