"""The steps that bind a volume to a claim: the volume's spec, its phase, the claim's spec, its status.

Input: a volume and a claim that belong together. Output: the next writes. Invariant: the volume names the claim before
the claim names the volume, so that a crash anywhere leaves a pair that the next round finds and finishes.
"""

from __future__ import annotations

from knarr.api.registry import PVCS, PVS
from knarr.api.semantics import volume_binding
from knarr.api.semantics.volume_binding import BIND_COMPLETED, BOUND_BY_CONTROLLER, annotations_of
from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object
from knarr.controller.persistent_volume import drafts
from knarr.controller_runtime.changes import Change, EventNote, Result, Update

_YES = "yes"


def bind(volume: Object, claim: Object) -> Result:
    """The next step; the change that it makes wakes the claim for the one after."""
    reserved = _reserved(volume, claim)
    if reserved != volume:
        return Result((Update(PVS, reserved),))
    changes: tuple[Change, ...] = drafts.in_phase(volume, "Bound").changes
    completed = _completed(claim, volume)
    if completed != claim:
        return Result((*changes, Update(PVCS, completed)))
    return Result((*changes, *claim_status(claim, "Bound", volume)))


def unbind(volume: Object) -> Result:
    """Give a volume up: a reservation of our own goes, one by the user loses the uid alone."""
    return Result((Update(PVS, unbound(volume)),))


def unbound(volume: Object) -> Object:
    """The volume without its claim."""
    if BOUND_BY_CONTROLLER in annotations_of(volume):
        return drafts.specified(drafts.forgotten(volume, BOUND_BY_CONTROLLER), claimRef=None)
    ref = {name: value for name, value in volume["spec"]["claimRef"].items() if name != "uid"}
    return drafts.specified(volume, claimRef=ref)


def pending(claim: Object, *notes: EventNote) -> Result:
    """A claim that goes on waiting, and why."""
    return Result(claim_status(claim, "Pending", None), tuple(notes))


def lost(claim: Object, reason: str, message: str) -> Result:
    """A bound claim whose volume is gone."""
    return Result(claim_status(claim, "Lost", None, EventNote(claim, "Warning", reason, message)))


def claim_status(claim: Object, phase: str, volume: Object | None, note: EventNote | None = None) -> tuple[Change, ...]:
    """The write of a claim's phase and of what its volume gives it; none where that stands already."""
    before = claim.get("status") or {}
    after = _without_volume(before) if volume is None else _with_volume(before, volume, was_bound=_is(before, phase))
    after = {**after, "phase": phase}
    if after == before:
        return ()
    told = None if _is(before, phase) else note
    return (Update(PVCS, {**claim, "status": after}, "status", done=told),)


def _is(status: Object, phase: str) -> bool:
    return bool(status.get("phase") == phase)


def _without_volume(status: Object) -> Object:
    lost_fields = ("accessModes", "capacity", "currentVolumeAttributesClassName")
    return {name: value for name, value in status.items() if name not in lost_fields}


def _with_volume(status: Object, volume: Object, *, was_bound: bool) -> Object:
    """A claim's size is what it was when it became bound: a file system may grow later than its device."""
    spec = volume["spec"]
    given: Object = {"accessModes": list(spec.get("accessModes") or ())}
    if was_bound:
        return {**status, **given}
    if _storage(status) != _storage(spec) or not status.get("capacity"):
        given["capacity"] = spec.get("capacity") or {}
    attributes = spec.get("volumeAttributesClassName")
    kept = {name: value for name, value in status.items() if name != "currentVolumeAttributesClassName"}
    return {**kept, **given, **({"currentVolumeAttributesClassName": attributes} if attributes else {})}


def _storage(holder: Object) -> quantity.Quantity:
    return quantity.from_json((holder.get("capacity") or {}).get("storage", "0"))


def _reserved(volume: Object, claim: Object) -> Object:
    ref, meta = volume["spec"].get("claimRef") or {}, claim["metadata"]
    found = volume
    wanted = (meta["name"], meta["namespace"], meta["uid"])
    if (ref.get("name"), ref.get("namespace"), ref.get("uid")) != wanted:
        found = drafts.specified(volume, claimRef=_reference(claim))
    if not volume_binding.is_bound_to(volume, claim) and BOUND_BY_CONTROLLER not in annotations_of(volume):
        found = drafts.noted(found, {BOUND_BY_CONTROLLER: _YES})
    return found


def _reference(claim: Object) -> Object:
    meta = claim["metadata"]
    fields = {name: meta[name] for name in ("namespace", "name", "uid", "resourceVersion") if meta.get(name)}
    return {"kind": PVCS.kind, "apiVersion": PVCS.api_version, **fields}


def _completed(claim: Object, volume: Object) -> Object:
    found, name = claim, volume["metadata"]["name"]
    if claim["spec"].get("volumeName") != name:
        found = drafts.specified(claim, volumeName=name)
        if BOUND_BY_CONTROLLER not in annotations_of(claim):
            found = drafts.noted(found, {BOUND_BY_CONTROLLER: _YES})
    return found if BIND_COMPLETED in annotations_of(claim) else drafts.noted(found, {BIND_COMPLETED: _YES})
