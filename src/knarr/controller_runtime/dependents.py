"""Whom a dependent's change wakes: its controller, and, where it has none, all that select it."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.resources import Resource
from knarr.api.semantics import owners
from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.controller_runtime.controller import KeysOf, controller_of_changed, key_of
from knarr.controller_runtime.snapshot import Key, Snapshot


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


def _was_the_same(old: Object | None, new: Object) -> bool:
    if old is None or owners.controller_of(old) is not None:
        return False
    return bool(old["metadata"].get("labels") == new["metadata"].get("labels"))


def _selecting(owner: Resource, orphan: Object, snapshot: Snapshot) -> Iterable[Key]:
    meta = orphan["metadata"]
    for obj in snapshot.list(owner, meta.get("namespace", "")):
        if labels.from_object(obj["spec"]["selector"]).matches(meta.get("labels")):
            yield key_of(owner, obj)
