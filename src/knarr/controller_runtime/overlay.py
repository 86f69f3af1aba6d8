"""Read-your-writes: the answers to one's own writes cover what the watches have shown, until these have passed them.

Input: a base snapshot, the revision the watch of a resource has reached, answers of writes. Output: a `Snapshot`.
Invariant: an object is never shown older than the last answer to a write of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.controller_runtime.snapshot import Key, Snapshot, index_values

Place: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Written:
    """The answer to a write; `object` is None for one that is gone."""

    object: Object | None
    uid: str
    revision: int


class Overlay:
    """A snapshot with one's own writes on top."""

    def __init__(self, base: Snapshot, revision: Callable[[Resource], int]) -> None:
        self._base = base
        self._revision = revision
        self._written: dict[Resource, dict[Place, _Written]] = {}

    def wrote(self, resource: Resource, obj: Object) -> None:
        """Show this answer of a create, update, patch or graceful delete."""
        revision = revision_of(obj)
        # In this order: there is nothing to compare with for a resource that nobody watches.
        if self._revision(resource) >= revision or self._shown(resource, _place(obj)) >= revision:
            self._forget(resource, _place(obj))
            return
        written = _Written(obj, obj["metadata"].get("uid", ""), revision)
        self._written.setdefault(resource, {})[_place(obj)] = written

    def _shown(self, resource: Resource, place: Place) -> int:
        base = self._base.get(resource, *place)
        return revision_of(base) if base is not None else -1

    def removed(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Show the object with this uid no more."""
        base = self._base.get(resource, namespace, name)
        place = (namespace, name)
        before = self._written.get(resource, {}).get(place)
        if base is None and before is None:
            return
        self._written.setdefault(resource, {})[place] = _Written(None, uid, before.revision if before else 0)

    def observed(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """The watch has shown a change: forget the answers it has passed."""
        places = self._written.get(resource)
        changed = new or old
        if not places or changed is None:
            return
        written = places.get(_place(changed))
        if written is not None and _passed(written, old, new):
            self._forget(resource, _place(changed))

    def overtaken(self) -> list[tuple[Key, Object]]:
        """Forget answers that the watch has passed without showing them; those that seemed to be there and are not."""
        gone = []
        for resource, places in list(self._written.items()):
            for place, written in list(places.items()):
                if self._is_current(resource, written, self._base.get(resource, *place)):
                    continue
                self._forget(resource, place)
                if written.object is not None:
                    gone.append((Key(resource, *place), written.object))
        return gone

    def __len__(self) -> int:
        return sum(len(places) for places in self._written.values())

    # Snapshot

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        base = self._base.get(resource, namespace, name)
        written = self._written.get(resource, {}).get((namespace, name))
        return base if written is None else self._merged(resource, written, base)

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        """The objects of a namespace, or of all."""
        found = self._base.list(resource, namespace)
        places = self._written.get(resource)
        if not places:
            return found
        kept = [obj for obj in found if _place(obj) not in places]
        return kept + [obj for obj in self._covering(resource) if namespace in ("", obj["metadata"].get("namespace"))]

    def indexed(self, resource: Resource, index: str, value: str) -> Sequence[Object]:
        """The objects that an index files under a value."""
        found = self._base.indexed(resource, index, value)
        places = self._written.get(resource)
        if not places:
            return found
        kept = [obj for obj in found if _place(obj) not in places]
        return kept + [obj for obj in self._covering(resource) if value in index_values(index, obj)]

    def _covering(self, resource: Resource) -> Iterator[Object]:
        for place, written in self._written[resource].items():
            obj = self._merged(resource, written, self._base.get(resource, *place))
            if obj is not None:
                yield obj

    def _merged(self, resource: Resource, written: _Written, base: Object | None) -> Object | None:
        return written.object if self._is_current(resource, written, base) else base

    def _is_current(self, resource: Resource, written: _Written, base: Object | None) -> bool:
        """Whether the answer is newer than what the watch has shown."""
        if written.object is None:
            return (
                base is not None
                and base["metadata"].get("uid") == written.uid
                or (base is None and self._revision(resource) < written.revision)
            )
        if base is not None and revision_of(base) >= written.revision:
            return False
        return self._revision(resource) < written.revision

    def _forget(self, resource: Resource, place: Place) -> None:
        places = self._written.get(resource)
        if places is not None:
            places.pop(place, None)
            if not places:
                del self._written[resource]


def _passed(written: _Written, old: Object | None, new: Object | None) -> bool:
    """Whether the watch has caught up with the answer."""
    if new is None:
        return old is not None and old["metadata"].get("uid", "") == written.uid
    if written.object is None:
        return bool(new["metadata"].get("uid") != written.uid)
    return revision_of(new) >= written.revision


def _place(obj: Object) -> Place:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def revision_of(obj: Object) -> int:
    """The revision an object was written at; 0 where it carries none."""
    return int(obj["metadata"].get("resourceVersion") or 0)
