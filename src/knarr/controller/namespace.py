"""Namespaces that are being deleted: their content goes first, pods before the rest, then the finalizer.

Input: a namespace, live lists of everything in it. Output: deletions of collections, conditions, and at last the
finalizer's removal. Invariant: the finalizer goes only after live reads have found nothing left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from knarr.api.registry import APISERVICES, EVENTS, NAMESPACES, PODS
from knarr.api.resources import Resource
from knarr.api.semantics import conditions
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime import remote_kinds
from knarr.controller_runtime.changes import (
    DONE,
    Change,
    Context,
    DeleteCollection,
    Failure,
    Lookup,
    Read,
    Result,
    Update,
)
from knarr.controller_runtime.controller import Controller, Dynamic, Watch, itself, key_of, nobody
from knarr.controller_runtime.snapshot import Key, Snapshot

_FINALIZER = "kubernetes"
#: Seconds after which finalizers of others are looked at again, unless something vanishes before.
_PATIENCE = 15
Content: TypeAlias = Mapping[Resource, Sequence[Object]]


def controller(resources: Sequence[Resource]) -> Controller:
    """The controller that empties namespaces of these (namespaced) resources."""
    custom: dict[Resource, None] = {}

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        namespace = snapshot.get(*key)
        if namespace is None or not namespace["metadata"].get("deletionTimestamp"):
            return DONE
        if _FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return DONE
        documents = remote_kinds.documents(snapshot)
        others = remote_kinds.deletable(context.live, documents)
        reads = tuple(Read(resource, key.name) for resource in (*resources, *custom))
        reads += tuple(_list_of(resource, key.name, context.live) for resource in others)
        if not all(read in context.live for read in (*documents, *reads)):
            return Result(reads=(*documents, *reads))
        content = {read.resource: items for read in reads if (items := _items(context.live[read]))}
        return _step(_Found(namespace, content, (*documents, *reads), remote_kinds.unavailable(snapshot)), context)

    def add(resource: Resource) -> Watch:
        if not resource.namespaced:
            return Watch(resource, nobody)
        custom[resource] = None
        return Watch(resource, _woken)

    # Events go at once and are many: not worth a watch.
    watches = [Watch(resource, _woken) for resource in resources if resource is not EVENTS]
    return Controller(
        name="namespace-controller",
        queue="namespace",
        resource=NAMESPACES,
        watches=(Watch(NAMESPACES, itself(NAMESPACES)), Watch(APISERVICES, _all_going), *watches),
        writes=("deletecollection of everything in a namespace", "update namespaces/status, namespaces/finalize"),
        reconcile=reconcile,
        workers=10,
        dynamic=Dynamic(add, lambda resource: custom.pop(resource, None)),
    )


def _items(listed: Object | None) -> Sequence[Object]:
    return (listed or {}).get("items") or ()


def _list_of(resource: Resource, namespace: str, live: Mapping[Lookup, Object | None]) -> Read:
    """The read of a resource that discovery tells of anew in every round: the same one that was answered."""
    same = (
        read
        for read in live
        if isinstance(read, Read) and read.namespace == namespace and read.resource.path() == resource.path()
    )
    return next(same, Read(resource, namespace))


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is in a namespace, by these lookups; `silent` are the group-versions that nobody could ask."""

    namespace: Object
    content: Content
    reads: tuple[Lookup, ...]
    silent: Sequence[str]


def _step(found: _Found, context: Context) -> Result:
    name, content = found.namespace["metadata"]["name"], found.content
    if not content:
        return _end(found, context)
    # Pods may still need what is beside them.
    first = {PODS: content[PODS]} if PODS in content else content
    untouched = [resource for resource, items in first.items() if not all(map(_is_going, items))]
    if untouched and context.failure is None:
        return Result(tuple(DeleteCollection(resource, name) for resource in untouched), reads=found.reads)
    changes = _write_status(found, first, context)
    if untouched:
        changes += tuple(DeleteCollection(resource, name) for resource in untouched)
        return Result(changes, reads=found.reads)
    return Result(changes, requeue_after=_estimate(first))


def _end(found: _Found, context: Context) -> Result:
    """Nothing is left: let the namespace go, unless something may be where nobody could look."""
    namespace = found.namespace
    kept = [item for item in namespace["spec"]["finalizers"] if item != _FINALIZER]
    if found.silent:
        return Result(_write_status(found, {}, context), requeue_after=_PATIENCE)
    if kept and (changes := _write_status(found, {}, context)):
        # Others will look at it yet; the change of status wakes us again.
        return Result(changes)
    return Result((Update(NAMESPACES, {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}, "finalize"),))


def _is_going(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def _estimate(content: Content) -> float:
    """Seconds after which to look again: half the pods' longest grace, or some for finalizers."""
    graces = [int(pod["metadata"].get("deletionGracePeriodSeconds") or 0) for pod in content.get(PODS, ())]
    return max(graces, default=0) / 2 + 1 if any(graces) else _PATIENCE


# Conditions


def _write_status(found: _Found, content: Content, context: Context) -> tuple[Change, ...]:
    namespace = found.namespace
    status = namespace.get("status") or {}
    new = [
        _condition(namespace, context.now, kind, *told)
        for kind, told in (
            ("NamespaceDeletionDiscoveryFailure", _discovery(found.silent)),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                (False, "ParsedGroupVersions", "All legacy kube types successfully parsed"),
            ),
            ("NamespaceDeletionContentFailure", _content_failure(context.failure)),
            ("NamespaceContentRemaining", _remaining(content)),
            ("NamespaceFinalizersRemaining", _finalizers(content)),
        )
    ]
    if new == (status.get("conditions") or []) and status.get("phase") == "Terminating":
        return ()
    return (
        Update(NAMESPACES, {**namespace, "status": {**status, "phase": "Terminating", "conditions": new}}, "status"),
    )


def _condition(namespace: Object, now: datetime, kind: str, true: bool, reason: str, message: str) -> Object:  # noqa: FBT001
    status = "True" if true else "False"
    present = conditions.find(namespace, kind) or {}
    same = present.get("status") == status
    since = present["lastTransitionTime"] if same else timestamps.seconds(now)
    return {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}


def _discovery(silent: Sequence[str]) -> tuple[bool, str, str]:
    if not silent:
        return False, "ResourcesDiscovered", "All resources successfully discovered"
    stale = ", ".join(f"{item}: stale GroupVersion discovery: {item}" for item in silent)
    message = f"unable to retrieve the complete list of server APIs: {stale}"
    return True, "DiscoveryFailed", f"Discovery failed for some groups, 1 failing: {message}"


def _content_failure(failure: Failure | None) -> tuple[bool, str, str]:
    if failure is None or not isinstance(failure.change, DeleteCollection):
        return False, "ContentDeleted", "All content successfully deleted, may be waiting on finalization"
    message = f"Failed to delete all resource types, 1 remaining: {failure.message}"
    return True, "ContentDeletionFailed", message


def _remaining(content: Content) -> tuple[bool, str, str]:
    if not content:
        return False, "ContentRemoved", "All content successfully removed"
    counts = sorted(
        f"{resource.plural}.{resource.group} has {len(items)} resource instances" for resource, items in content.items()
    )
    return True, "SomeResourcesRemain", f"Some resources are remaining: {', '.join(counts)}"


def _finalizers(content: Content) -> tuple[bool, str, str]:
    found: Counter[str] = Counter()
    for items in content.values():
        for item in items:
            found.update(item["metadata"].get("finalizers") or ())
    if not found:
        return False, "ContentHasNoFinalizers", "All content-preserving finalizers finished"
    counts = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(found.items()))
    return True, "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {counts}"


def _all_going(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A server that answers again, or ceases to, concerns every namespace that is being deleted."""
    if old is None or new is None or old.get("status") != new.get("status"):
        for namespace in snapshot.list(NAMESPACES):
            if _is_going(namespace):
                yield key_of(NAMESPACES, namespace)


def _woken(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Something has vanished from a namespace that is being deleted."""
    if new is not None or old is None:
        return ()
    name = old["metadata"]["namespace"]
    namespace = snapshot.get(NAMESPACES, "", name)
    return [Key(NAMESPACES, "", name)] if namespace is not None and _is_going(namespace) else ()
