"""One round of a claim.

Input: a claim, the volumes that it may have, storage classes, the pods that wait for it. Output: the next step of its
binding, a request to a provisioner, or its phase with the event that says why it waits.
"""

from __future__ import annotations

from dataclasses import replace

from knarr.api.registry import PODS, PVCS, PVS, STORAGECLASSES
from knarr.api.semantics import volume_binding
from knarr.api.semantics.volume_binding import BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE, annotations_of
from knarr.apimachinery.types import Object
from knarr.controller.persistent_volume import binding, drafts, provisioning
from knarr.controller_runtime.changes import Context, EventNote, Read, Result, Update
from knarr.controller_runtime.snapshot import CLAIM, UNBOUND, Snapshot

_NO_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
_NO_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
_TWO_CLAIMS = "Two claims are bound to the same volume, this one is bound incorrectly"
_NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
_NO_CONSUMER = "waiting for first consumer to be created before binding"
_FAILED = "FailedBinding"
#: Seconds after which a volume is looked for again that only a live read has shown.
_LOOK_AGAIN = 10.0


def sync(claim: Object, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a claim."""
    migrated = provisioning.annealed_claim(claim)
    if migrated != claim:
        return Result((Update(PVCS, migrated),))
    if BIND_COMPLETED in annotations_of(claim):
        return _bound(claim, snapshot, context)
    name = claim["spec"].get("volumeName")
    return _wanting(claim, snapshot.get(PVS, "", name)) if name else _unbound(claim, snapshot)


def _unbound(claim: Object, snapshot: Snapshot) -> Result:
    """A claim that takes any volume."""
    class_name = volume_binding.class_name(claim)
    storage_class = snapshot.get(STORAGECLASSES, "", class_name) if class_name else None
    delayed = volume_binding.waits_for_consumer(storage_class)
    found = volume_binding.best_volume(claim, _candidates(claim, class_name, snapshot), delayed=delayed)
    if found is not None:
        return binding.bind(found, claim)
    if not volume_binding.has_class(claim):
        default = volume_binding.default_class(snapshot.list(STORAGECLASSES))
        if default is not None:
            return Result((Update(PVCS, drafts.specified(claim, storageClassName=default["metadata"]["name"])),))
    if delayed and SELECTED_NODE not in annotations_of(claim):
        return binding.pending(claim, _delayed_note(claim, snapshot))
    if class_name:
        return provisioning.provision(claim, class_name, storage_class)
    return binding.pending(claim, EventNote(claim, "Normal", _FAILED, _NO_CLASS))


def _candidates(claim: Object, class_name: str, snapshot: Snapshot) -> list[Object]:
    """The free volumes of the claim's class, and those reserved for it."""
    meta = claim["metadata"]
    reserved = snapshot.indexed(PVS, CLAIM, f"{meta['namespace']}/{meta['name']}")
    return [*reserved, *snapshot.indexed(PVS, UNBOUND, class_name)]


def _delayed_note(claim: Object, snapshot: Snapshot) -> EventNote:
    meta = claim["metadata"]
    users = snapshot.indexed(PODS, CLAIM, f"{meta['namespace']}/{meta['name']}")
    waiting = sorted(str(pod["metadata"]["name"]) for pod in users if not (pod.get("spec") or {}).get("nodeName"))
    if not waiting:
        return EventNote(claim, "Normal", "WaitForFirstConsumer", _NO_CONSUMER)
    named = f"pod {waiting[0]}" if len(waiting) == 1 else f"pods {','.join(waiting)}"
    return EventNote(claim, "Normal", "WaitForPodScheduled", f"waiting for {named} to be scheduled")


def _wanting(claim: Object, volume: Object | None) -> Result:
    """A claim whose user has named the volume."""
    if volume is None:
        return binding.pending(claim)
    name = volume["metadata"]["name"]
    ref = volume["spec"].get("claimRef")
    if not ref:
        problem = volume_binding.misfit(claim, volume)
        if problem:
            message = f'Cannot bind to requested volume "{name}": {problem}'
            return binding.pending(claim, EventNote(claim, "Warning", "VolumeMismatch", message))
        return binding.bind(volume, claim)
    if volume_binding.is_bound_to(volume, claim):
        return binding.bind(volume, claim)
    if BOUND_BY_CONTROLLER not in annotations_of(claim):
        message = f'volume "{name}" already bound to a different claim.'
        return binding.pending(claim, EventNote(claim, "Warning", _FAILED, message))
    meta = claim["metadata"]
    mine, other = f"{meta['namespace']}/{meta['name']}", f"{ref.get('namespace', '')}/{ref.get('name', '')}"
    message = f'invalid binding of claim "{mine}" to volume "{name}": volume already claimed by "{other}"'
    return Result(events=(EventNote(claim, "Warning", _FAILED, message),))


def _bound(claim: Object, snapshot: Snapshot, context: Context) -> Result:
    """A claim that was bound once."""
    name = claim["spec"].get("volumeName")
    if not name:
        return binding.lost(claim, "ClaimLost", _NO_REFERENCE)
    volume = snapshot.get(PVS, "", name)
    if volume is not None:
        return _paired(claim, volume)
    # That data is lost is never said because a watch is late.
    read = Read(PVS, "", name)
    if read not in context.live:
        return Result(reads=(read,))
    live = context.live[read]
    if live is None:
        return binding.lost(claim, "ClaimLost", _NO_VOLUME)
    return replace(_paired(claim, live), requeue_after=_LOOK_AGAIN)


def _paired(claim: Object, volume: Object) -> Result:
    """A claim whose volume is there."""
    ref = volume["spec"].get("claimRef")
    if not ref or ref.get("uid") == claim["metadata"]["uid"]:
        return binding.bind(volume, claim)
    return binding.lost(claim, "ClaimMisbound", _TWO_CLAIMS)
