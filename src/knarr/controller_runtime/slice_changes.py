"""What a plan for the EndpointSlices of one owner means in changes; the controllers that keep slices share it."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import ENDPOINTSLICES
from knarr.api.resources import Resource
from knarr.api.semantics import owners
from knarr.api.semantics.slice_plan import Plan
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Change, Create, Delete, Names, Update
from knarr.controller_runtime.names import generated


def changes(plan: Plan, owner: Object, resource: Resource, names: Names) -> list[Change]:
    """Creations (in the name of `owner`, of this resource), updates, deletions. An owner that is going gets no more."""
    created = [] if owner["metadata"].get("deletionTimestamp") else plan.create
    return [
        *(_create(item, owner, resource, names.suffix()) for item in created),
        *(Update(ENDPOINTSLICES, item) for item in plan.update),
        *deletions(plan.delete),
    ]


def deletions(slices: Iterable[Object]) -> list[Change]:
    """Delete slices, each only if it is still the one that was seen."""
    metas = (item["metadata"] for item in slices)
    return [Delete(ENDPOINTSLICES, meta["namespace"], meta["name"], uid=meta["uid"]) for meta in metas]


def _create(item: Object, owner: Object, resource: Resource, suffix: str) -> Create:
    meta = owner["metadata"]
    base = f"{meta['name']}-"
    named = {"name": generated(base, suffix), "generateName": base, "namespace": meta["namespace"]}
    owned = {"ownerReferences": [owners.controller_reference(owner, resource)]}
    return Create(ENDPOINTSLICES, {**item, "metadata": {**named, **item["metadata"], **owned}})
