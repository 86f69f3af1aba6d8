"""What a plan for the EndpointSlices of one owner means in changes; the controllers that keep slices share it."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import ENDPOINTSLICES
from knarr.api.resources import Resource
from knarr.api.semantics import owners
from knarr.api.semantics.slice_plan import Plan
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About
from knarr.controller_runtime.changes import Change, Create, Delete, EventNote, Names, Tick, Update
from knarr.controller_runtime.names import generated


def changes(plan: Plan, owner: Object, resource: Resource, names: Names) -> list[Change]:
    """Creations (in the name of `owner`, of this resource), updates, deletions. An owner that is going gets no more."""
    created = [] if owner["metadata"].get("deletionTimestamp") else plan.create
    place = f"{resource.kind} {owner['metadata']['namespace']}/{owner['metadata']['name']}"
    return [
        *(_create(item, owner, resource, names.suffix()) for item in created),
        *(Update(ENDPOINTSLICES, item, failed=_failed(owner, place, f"update {_name(item)}")) for item in plan.update),
        *deletions(plan.delete),
    ]


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _failed(owner: Object, place: str, what: str) -> EventNote:
    error = f"failed to {what} EndpointSlice for {place}: {{error}}"
    message = f"Error updating Endpoint Slices for {place}: {error}"
    return EventNote(owner, "Warning", "FailedToUpdateEndpointSlices", message)


def deletions(slices: Iterable[Object]) -> list[Change]:
    """Delete slices, each only if it is still the one that was seen."""
    metas = (item["metadata"] for item in slices)
    return [Delete(ENDPOINTSLICES, meta["namespace"], meta["name"], uid=meta["uid"]) for meta in metas]


def _create(item: Object, owner: Object, resource: Resource, suffix: str) -> Create:
    meta = owner["metadata"]
    base = f"{meta['name']}-"
    named = {"name": generated(base, suffix), "generateName": base, "namespace": meta["namespace"]}
    owned = {"ownerReferences": [owners.controller_reference(owner, resource)]}
    place = f"{resource.kind} {meta['namespace']}/{meta['name']}"
    made = {**item, "metadata": {**named, **item["metadata"], **owned}}
    return Create(ENDPOINTSLICES, made, failed=_failed(owner, place, "create"))


def ticks(about: About, ordered: Iterable[Change]) -> tuple[Tick, ...]:
    """What a metric of changes with the label `operation` counts of these."""
    return tuple(Tick(about, (type(change).__name__.lower(),)) for change in ordered)
