"""Deletes what has lost its owners, and carries out how an owner wants its dependents to go.

Input: an object of any kind, its owners and dependents by the watches, live reads of owners that seem absent. Output:
deletions, owner references and finalizers removed. Invariants: nothing is deleted because of an owner whose absence a
live read has not shown; a deletion fails if the object has changed since it was judged.
Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from knarr.api.registry import PODS
from knarr.api.resources import Resource
from knarr.api.semantics import owners
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Change, Context, Delete, EventNote, Patch, Read, Result
from knarr.controller_runtime.controller import Controller, Dynamic, KeysOf, Watch, key_of
from knarr.controller_runtime.snapshot import OWNER, Key, Snapshot

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_MERGE = "application/merge-patch+json"
#: Resources by (group, kind).
Kinds: TypeAlias = Mapping[tuple[str, str], Resource]


def controller(resources: Sequence[Resource]) -> Controller:
    """The controller that collects these resources."""
    kinds = {(resource.group, resource.kind): resource for resource in resources}

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        if (key.resource.group, key.resource.kind) not in kinds:
            # A custom resource that is served no more.
            return DONE
        obj = snapshot.get(*key)
        return DONE if obj is None else _judge(_Case(key, obj, kinds, snapshot, context))

    def add(resource: Resource) -> Watch:
        kinds[resource.group, resource.kind] = resource
        return Watch(resource, _woken(resource, kinds))

    def remove(resource: Resource) -> None:
        kinds.pop((resource.group, resource.kind), None)

    return Controller(
        name="generic-garbage-collector",
        resource=PODS,
        watches=tuple(Watch(resource, _woken(resource, kinds)) for resource in resources),
        writes=("delete, patch of everything",),
        reconcile=reconcile,
        workers=20,
        component="garbage-collector-controller",
        queue="garbage_collector_attempt_to_delete",
        dynamic=Dynamic(add, remove),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """One object to judge."""

    key: Key
    object: Object
    kinds: Kinds
    snapshot: Snapshot
    context: Context

    @property
    def finalizers(self) -> Sequence[str]:
        return self.object["metadata"].get("finalizers") or ()

    def patch(self, **meta: Any) -> Patch:
        """A change of metadata that fails if the object is not as it was judged."""
        version = self.object["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version, **meta}}
        return Patch(self.key.resource, self.key.namespace, self.key.name, body, _MERGE)

    def without_finalizer(self, name: str) -> Patch:
        return self.patch(finalizers=[item for item in self.finalizers if item != name])

    def delete(self, propagation: str) -> Delete:
        meta = self.object["metadata"]
        return Delete(*self.key, uid=meta["uid"], propagation=propagation, resource_version=meta["resourceVersion"])


def _judge(case: _Case) -> Result:
    if _is_going(case.object):
        if ORPHAN in case.finalizers:
            return _orphan(case)
        if FOREGROUND in case.finalizers and not any(_blocks(case, dependent) for _, dependent in _dependents(case)):
            return Result((case.without_finalizer(FOREGROUND),))
        return DONE
    if not owners.references(case.object):
        return DONE
    found = _classify(case)
    if found.reads:
        return Result(reads=found.reads)
    return Result(tuple(_verdict(case, found)), tuple(found.notes))


def _orphan(case: _Case) -> Result:
    """The dependents forget their owner, then it may go."""
    uid = case.object["metadata"]["uid"]
    changes: list[Change] = []
    for resource, dependent in _dependents(case):
        kept = [item for item in owners.references(dependent) if item["uid"] != uid]
        changes.append(_with_references(resource, dependent, kept))
    return Result((*changes, case.without_finalizer(ORPHAN)))


def _with_references(resource: Resource, obj: Object, references: Sequence[Object]) -> Patch:
    meta = obj["metadata"]
    body = {"metadata": {"resourceVersion": meta["resourceVersion"], "ownerReferences": list(references)}}
    return Patch(resource, meta.get("namespace", ""), meta["name"], body, _MERGE)


# Owners


@dataclass(slots=True)
class _Owners:
    """The owner references of an object, by what has become of the owners."""

    solid: list[Object] = field(default_factory=list)
    dangling: list[Object] = field(default_factory=list)
    waiting: list[Object] = field(default_factory=list)
    reads: tuple[Read, ...] = ()
    notes: list[EventNote] = field(default_factory=list)


def _classify(case: _Case) -> _Owners:
    found, reads = _Owners(), []
    for reference in owners.references(case.object):
        resource = _resource_of(reference, case.kinds)
        if resource is None or (resource.namespaced and not case.key.namespace):
            # What cannot be looked up is not known to be absent.
            found.solid.append(reference)
            if resource is not None:
                found.notes.append(_invalid(case, reference))
            continue
        place = Read(resource, case.key.namespace if resource.namespaced else "", reference["name"])
        owner = case.snapshot.get(*place)
        if not _is(owner, reference):
            if place not in case.context.live:
                reads.append(place)
                continue
            owner = case.context.live[place]
        _sort(found, reference, owner)
        if reference in found.dangling and _is_elsewhere(resource, reference, case):
            found.notes.append(_invalid(case, reference))
    found.reads = tuple(reads)
    return found


def _sort(found: _Owners, reference: Object, owner: Object | None) -> None:
    if owner is None or not _is(owner, reference):
        found.dangling.append(reference)
    elif _is_waiting(owner):
        found.waiting.append(reference)
    else:
        found.solid.append(reference)


def _is_elsewhere(resource: Resource, reference: Object, case: _Case) -> bool:
    """Whether what is named as an owner lives in another namespace, where it cannot own the object."""
    return resource.namespaced and any(_is(other, reference) for other in case.snapshot.list(resource))


def _is(owner: Object | None, reference: Object) -> bool:
    return owner is not None and owner["metadata"].get("uid") == reference["uid"]


def _invalid(case: _Case, reference: Object) -> EventNote:
    kind, name = f"{reference['apiVersion']}/{reference['kind']}", reference["name"]
    shown = f"{kind}, namespace: {case.key.namespace}, name: {name}, uid: {reference['uid']}"
    message = f'ownerRef [{shown}] does not exist in namespace "{case.key.namespace}"'
    return EventNote(case.object, "Warning", "OwnerRefInvalidNamespace", message)


def _verdict(case: _Case, found: _Owners) -> Iterator[Change]:
    if found.solid:
        if found.dangling or found.waiting:
            yield case.patch(ownerReferences=found.solid)
        return
    dependents = list(_dependents(case))
    if found.waiting and dependents:
        blocking = any(item.get("blockOwnerDeletion") for item in owners.references(case.object))
        if blocking and any(_is_waiting(dependent) for _, dependent in dependents):
            # Owners and dependents in a circle would wait for each other.
            yield case.patch(
                ownerReferences=[{**item, "blockOwnerDeletion": False} for item in owners.references(case.object)]
            )
            return
        yield case.delete("Foreground")
        return
    if ORPHAN in case.finalizers:
        yield case.delete("Orphan")
    else:
        yield case.delete("Foreground" if FOREGROUND in case.finalizers else "Background")


# Dependents


def _dependents(case: _Case) -> Iterator[tuple[Resource, Object]]:
    uid = case.object["metadata"]["uid"]
    for resource in case.kinds.values():
        for dependent in case.snapshot.indexed(resource, OWNER, uid):
            yield resource, dependent


def _blocks(case: _Case, dependent: Object) -> bool:
    uid = case.object["metadata"]["uid"]
    return any(item["uid"] == uid and item.get("blockOwnerDeletion") for item in owners.references(dependent))


def _is_going(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def _is_waiting(obj: Object) -> bool:
    """Whether an object is being deleted and waits for its dependents."""
    return _is_going(obj) and FOREGROUND in (obj["metadata"].get("finalizers") or ())


def _resource_of(reference: Object, kinds: Kinds) -> Resource | None:
    group, _ = parse_api_version(reference["apiVersion"])
    return kinds.get((group, reference["kind"]))


# Whom changes wake


def _woken(resource: Resource, kinds: Kinds) -> KeysOf:
    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        if old is not None and new is not None and _same(old, new):
            return
        if new is not None and (owners.references(new) or _is_going(new)):
            yield key_of(resource, new)
        uid = (new or old or {})["metadata"]["uid"]
        if new is None or _is_waiting(new):
            for other in kinds.values():
                for dependent in snapshot.indexed(other, OWNER, uid):
                    yield key_of(other, dependent)
        if old is not None:
            yield from _waiting_owners(old, kinds, snapshot)

    return keys


def _same(old: Object, new: Object) -> bool:
    one, other = old["metadata"], new["metadata"]
    names = ("uid", "ownerReferences", "deletionTimestamp", "finalizers")
    return all(one.get(name) == other.get(name) for name in names)


def _waiting_owners(obj: Object, kinds: Kinds, snapshot: Snapshot) -> Iterable[Key]:
    """Owners that may have waited for this object."""
    for reference in owners.references(obj):
        resource = _resource_of(reference, kinds)
        if resource is None:
            continue
        namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
        owner = snapshot.get(resource, namespace, reference["name"])
        if owner is not None and _is(owner, reference) and _is_waiting(owner):
            yield key_of(resource, owner)
