"""Which dependents an owner may call its own: adopts orphans its selector matches, releases those it matches no more.

Input: the owner, its dependents by reference, the orphans of its namespace. Output: what it has, and patches of owner
references. An owner adopts only after a live read has shown that it still exists and is not being deleted.
Source: https://github.com/kubernetes/design-proposals-archive/blob/main/apps/controller-ref.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from knarr.api.resources import Resource
from knarr.api.semantics import owners
from knarr.apimachinery.labels import Selector
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import Change, Context, Patch, Read
from knarr.controller_runtime.snapshot import ORPHAN, OWNER, Snapshot


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner that selects dependents.

    Where it has a `finalizer` on its own dependents, that comes and goes with the reference, and dependents that have
    ended are adopted too.
    """

    resource: Resource
    object: Object
    selector: Selector
    finalizer: str = ""
    #: What else, beside its labels, a dependent must be.
    accepts: Callable[[Object], bool] = lambda obj: True

    def matches(self, obj: Object) -> bool:
        """Whether an object may be its dependent."""
        return self.selector.matches(obj["metadata"].get("labels")) and self.accepts(obj)

    @property
    def uid(self) -> str:
        """The owner's uid."""
        return str(self.object["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        """The owner's namespace."""
        return str(self.object["metadata"]["namespace"])

    @property
    def is_going(self) -> bool:
        """Whether the owner is being deleted."""
        return bool(self.object["metadata"].get("deletionTimestamp"))


@dataclass(frozen=True, slots=True)
class Claims:
    """`held` are the owner's dependents once `changes` are carried out; with `reads` it must be decided again."""

    held: tuple[Object, ...]
    changes: tuple[Change, ...] = ()
    reads: tuple[Read, ...] = ()


def claim(owner: Owner, resource: Resource, snapshot: Snapshot, context: Context) -> Claims:
    """What the owner has of a resource."""
    owned = [obj for obj in snapshot.indexed(resource, OWNER, owner.uid) if owners.is_controlled_by(obj, owner.object)]
    held, strangers = _by_match(owner, owned)
    if owner.is_going:
        return Claims(tuple(held))
    released = [_release(resource, obj, owner) for obj in strangers]
    strays = list(_strays(owner, snapshot.indexed(resource, ORPHAN, owner.namespace)))
    if not strays:
        return Claims(tuple(held), tuple(released))
    meta = owner.object["metadata"]
    read = Read(owner.resource, meta["namespace"], meta["name"])
    if read not in context.live:
        return Claims(tuple(held), (), (read,))
    if not _still_there(context.live[read], owner):
        return Claims(tuple(held), tuple(released))
    adopted = [_adopt(resource, obj, owner) for obj in strays]
    return Claims((*held, *strays), (*released, *adopted))


def _by_match(owner: Owner, owned: Sequence[Object]) -> tuple[list[Object], list[Object]]:
    """Dependents that the owner selects, and those that it does not."""
    selected: list[Object] = []
    strangers: list[Object] = []
    for obj in owned:
        (selected if owner.matches(obj) else strangers).append(obj)
    return selected, strangers


def _strays(owner: Owner, orphans: Sequence[Object]) -> Iterable[Object]:
    for obj in orphans:
        meta = obj["metadata"]
        ended = not owner.finalizer and (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if not (meta.get("deletionTimestamp") or ended) and owner.matches(obj):
            yield obj


def _still_there(live: Object | None, owner: Owner) -> bool:
    if live is None:
        return False
    meta = live["metadata"]
    return meta.get("uid") == owner.uid and not meta.get("deletionTimestamp")


def _adopt(resource: Resource, obj: Object, owner: Owner) -> Patch:
    reference = owners.controller_reference(owner.object, owner.resource)
    finalizers = {"finalizers": [owner.finalizer]} if owner.finalizer else {}
    return _patch(resource, obj, {"ownerReferences": [reference], **finalizers})


def _release(resource: Resource, obj: Object, owner: Owner) -> Patch:
    finalizers = {"$deleteFromPrimitiveList/finalizers": [owner.finalizer]} if owner.finalizer else {}
    return _patch(resource, obj, {"ownerReferences": [{"$patch": "delete", "uid": owner.uid}], **finalizers})


def _patch(resource: Resource, obj: Object, meta: Object) -> Patch:
    """A patch of metadata that fails for a namesake."""
    own = obj["metadata"]
    return Patch(resource, own.get("namespace", ""), own["name"], {"metadata": {**meta, "uid": own["uid"]}})
