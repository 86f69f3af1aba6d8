"""One round of a volume.

Input: a volume and the claim it is reserved for. Output: its phase, or that it is given up, deleted, recycled.
Invariant: a volume is released only after a live read has shown that its claim is gone.
"""

from __future__ import annotations

from dataclasses import replace

from knarr.api.registry import PVCS, PVS
from knarr.api.semantics import volume_binding
from knarr.api.semantics.volume_binding import annotations_of
from knarr.apimachinery.types import Object
from knarr.controller.persistent_volume import binding, drafts, provisioning, reclaiming
from knarr.controller_runtime.changes import DONE, Context, EventNote, Read, Result, Update
from knarr.controller_runtime.snapshot import Snapshot

_GIVEN_UP = ("Released", "Failed")
_LOOK_AGAIN = 10.0


def sync(volume: Object, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a volume."""
    annealed = provisioning.annealed_volume(volume)
    if annealed != volume:
        return Result((Update(PVS, annealed),))
    ref = volume["spec"].get("claimRef")
    if not ref or not ref.get("uid"):
        return drafts.in_phase(volume, "Available")
    claim = snapshot.get(PVCS, ref.get("namespace", ""), ref.get("name", ""))
    if _is_doubtful(volume, claim):
        read = Read(PVCS, ref.get("namespace", ""), ref.get("name", ""))
        if read not in context.live:
            return Result(reads=(read,))
        live = context.live[read]
        if live is not None and live["metadata"]["uid"] == ref["uid"]:
            # It may be gone again before the watch shows it.
            return replace(_held(volume, live, snapshot, context), requeue_after=_LOOK_AGAIN)
        claim = None
    if claim is None:
        return _release(volume, snapshot, context)
    return _held(volume, claim, snapshot, context)


def _is_doubtful(volume: Object, claim: Object | None) -> bool:
    """Whether it must be read live if the claim is gone."""
    if claim is None:
        return (volume.get("status") or {}).get("phase") not in _GIVEN_UP
    return bool(claim["metadata"]["uid"] != volume["spec"]["claimRef"]["uid"])


def _release(volume: Object, snapshot: Snapshot, context: Context) -> Result:
    if (volume.get("status") or {}).get("phase") not in _GIVEN_UP:
        return drafts.in_phase(volume, "Released")
    return reclaiming.reclaim(volume, snapshot, context)


def _held(volume: Object, claim: Object, snapshot: Snapshot, context: Context) -> Result:
    """A volume whose claim is there."""
    wanted, name = claim["spec"].get("volumeName"), volume["metadata"]["name"]
    if not wanted:
        return DONE if volume_binding.has_same_mode(claim, volume) else _mismatch(volume, claim)
    if wanted == name:
        return drafts.in_phase(volume, "Bound")
    provisioned = provisioning.PROVISIONED_BY in annotations_of(volume)
    if provisioned and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        return _release(volume, snapshot, context)
    return binding.unbind(volume)


def _mismatch(volume: Object, claim: Object) -> Result:
    name, claim_name = volume["metadata"]["name"], claim["metadata"]["name"]
    why = "due to incompatible volumeMode."
    of_volume = f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{claim_name}" {why}'
    of_claim = f'Cannot bind PersistentVolume "{name}" to requested PersistentVolumeClaim {why}'
    return Result(
        events=(
            EventNote(volume, "Warning", "VolumeMismatch", of_volume),
            EventNote(claim, "Warning", "VolumeMismatch", of_claim),
        )
    )
