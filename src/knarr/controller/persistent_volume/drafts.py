"""Drafts of claims and volumes: an object with annotations, a spec or a phase that are new.

Input: a claim or volume as it was read. Output: the update that writes the draft, or none where nothing is new.
Invariant: at most one update of an object a round, since it carries the resourceVersion that was read.
"""

from __future__ import annotations

from collections.abc import Mapping

from knarr.api.registry import PVS
from knarr.api.semantics.volume_binding import annotations_of
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, EventNote, Result, Update


def noted(obj: Object, notes: Mapping[str, str]) -> Object:
    """The object with annotations added."""
    meta = obj["metadata"]
    return {**obj, "metadata": {**meta, "annotations": {**annotations_of(obj), **notes}}}


def forgotten(obj: Object, *names: str) -> Object:
    """The object without some annotations."""
    left = {name: value for name, value in annotations_of(obj).items() if name not in names}
    meta = {name: value for name, value in obj["metadata"].items() if name != "annotations"}
    return {**obj, "metadata": {**meta, "annotations": left} if left else meta}


def specified(obj: Object, **fields: object) -> Object:
    """The object with fields of its spec set, or with `None` removed."""
    spec = {name: value for name, value in {**obj["spec"], **fields}.items() if value is not None}
    return {**obj, "spec": spec}


def in_phase(volume: Object, phase: str, message: str = "", note: EventNote | None = None) -> Result:
    """Give a volume its phase, and tell of it with `note`; nothing where it has that phase already."""
    status = volume.get("status") or {}
    if status.get("phase") == phase:
        return DONE
    kept = {name: value for name, value in status.items() if name != "message"}
    changed = {**kept, "phase": phase, **({"message": message} if message else {})}
    return Result((Update(PVS, {**volume, "status": changed}, "status", done=note),))
