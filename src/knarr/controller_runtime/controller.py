"""A controller as plain data: what it watches, what it writes, and the pure function that decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Context, Result
from knarr.controller_runtime.observing import Observer
from knarr.controller_runtime.snapshot import Key, Snapshot

#: Which keys a change of a watched object concerns: (old, new, snapshot). `old` is None for a new object, `new` for one
#: that is gone; the snapshot shows the state after the change.
KeysOf: TypeAlias = Callable[[Object | None, Object | None, Snapshot], Iterable[Key]]
Reconcile: TypeAlias = Callable[[Key, Snapshot, Context], Result]


@dataclass(frozen=True, slots=True)
class Watch:
    """One resource that a controller reads, and whom its changes wake."""

    resource: Resource
    keys: KeysOf
    #: Note when the watch showed each object (`Context.seen`).
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Dynamic:
    """How a controller takes resources that come and go while it runs: custom ones.

    `add` gives the watch of one. What the snapshot has of it is metadata alone.
    """

    add: Callable[[Resource], Watch]
    remove: Callable[[Resource], None]


@dataclass(frozen=True, slots=True)
class Controller:
    """One controller. `name` is its service account in `kube-system`, to which the bootstrap roles give rights.

    `reconcile` is level-triggered, idempotent, and safe after any prefix of the changes it ordered. `watches` names
    every resource it reads from the snapshot, `writes` what it writes, for people.
    """

    name: str
    resource: Resource
    watches: tuple[Watch, ...]
    writes: tuple[str, ...]
    reconcile: Reconcile
    #: Keys reconciled at once.
    workers: int = 5
    #: Whose events these are (`source.component`); the name where it is empty.
    component: str = ""
    #: Set for those that work on resources of any kind.
    dynamic: Dynamic | None = None
    #: What tells controllers with the same service account apart; the name where it is empty.
    title: str = ""
    #: What metrics call its queue; as logs call it where that is empty.
    queue: str = ""
    #: Makes what counts for metrics of its own.
    observer: Callable[[], Observer] | None = None

    @property
    def label(self) -> str:
        """How logs and metrics call it."""
        return self.title or self.name


def nobody(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Wakes nobody: the resource is only read."""
    return ()


def itself(resource: Resource) -> KeysOf:
    """Wakes the key of the changed object."""

    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        return [key_of(resource, new or old or {})]

    return keys


def controller_of_changed(owner: Resource) -> KeysOf:
    """Wakes the controller (of resource `owner`) that the changed object has, and the one it had."""

    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        found = {_controller_key(owner, obj) for obj in (old, new) if obj is not None}
        return [key for key in found if key is not None]

    return keys


def key_of(resource: Resource, obj: Object) -> Key:
    """The key of an object of a resource."""
    meta = obj["metadata"]
    return Key(resource, meta.get("namespace", ""), meta["name"])


def _controller_key(resource: Resource, obj: Object) -> Key | None:
    meta = obj["metadata"]
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == resource.kind and _group(owner) == resource.group:
            return Key(resource, meta.get("namespace", "") if resource.namespaced else "", owner["name"])
    return None


def _group(owner: Object) -> str:
    group, _, _ = str(owner.get("apiVersion", "")).rpartition("/")
    return group
