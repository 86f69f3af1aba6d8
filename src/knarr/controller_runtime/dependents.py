"""Dependents of workloads: pods made and deleted with their events, whom a change wakes, and what of refusals."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import CONTROLLERREVISIONS, PODS
from knarr.api.resources import Resource
from knarr.api.semantics import owners
from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Context, Create, Delete, EventNote, Patch, Update
from knarr.controller_runtime.controller import KeysOf, controller_of_changed, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

_UNPROCESSABLE = 422


def create_pod(owner: Object, pod: Object) -> Create:
    """Create a pod of a workload, and tell of it as Kubernetes' controllers do."""
    done = EventNote(owner, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
    return Create(PODS, pod, done, EventNote(owner, "Warning", "FailedCreate", "Error creating: {error}"))


def delete_pod(owner: Object, pod: Object, *told: EventNote) -> Delete:
    """Delete a pod of a workload, and tell of it; before that `told`, whatever becomes of it."""
    meta = pod["metadata"]
    done = EventNote(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}")
    failed = EventNote(owner, "Warning", "FailedDelete", "Error deleting: {error}")
    return Delete(PODS, meta["namespace"], meta["name"], uid=meta["uid"], done=(*told, done), failed=(*told, failed))


def of_dependent(owner: Resource) -> KeysOf:
    """Wakes the controller (of resource `owner`, which has a label selector) that could have the changed object."""
    owner_of = controller_of_changed(owner)

    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        found = set(owner_of(old, new, snapshot))
        if new is not None and owners.controller_of(new) is None and not _was_the_same(old, new):
            found |= set(_selecting(owner, new, snapshot))
        return found

    return keys


def of_revision(owner: Resource) -> KeysOf:
    """As `of_dependent`, but a new revision that has its controller already wakes nobody: it changes nothing."""
    keys_of = of_dependent(owner)

    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        if old is None and new is not None and owners.controller_of(new) is not None:
            return ()
        return keys_of(old, new, snapshot)

    return keys


def revision_was_refused(context: Context) -> bool:
    """Whether the last round ended with a revision that may not be written: then one round does without.

    A revision whose data a user has written with blanks takes no change; its set must not stand still for that.
    """
    failure = context.failure
    if failure is None or failure.code != _UNPROCESSABLE or not isinstance(failure.change, Patch | Update):
        return False
    return failure.change.resource is CONTROLLERREVISIONS


def _was_the_same(old: Object | None, new: Object) -> bool:
    if old is None or owners.controller_of(old) is not None:
        return False
    return bool(old["metadata"].get("labels") == new["metadata"].get("labels"))


def _selecting(owner: Resource, orphan: Object, snapshot: Snapshot) -> Iterable[Key]:
    meta = orphan["metadata"]
    for obj in snapshot.list(owner, meta.get("namespace", "")):
        if labels.from_object(obj["spec"]["selector"]).matches(meta.get("labels")):
            yield key_of(owner, obj)
