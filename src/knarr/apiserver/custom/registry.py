"""Which custom resources are served: the definitions in the watch cache, as scopes beside the built-in ones.

A definition is looked at in the turn of the event loop in which its change reaches the cache: whoever sees that it is
established finds its resources served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import orjson

from knarr.api.custom import definition, objects
from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.api.resources import Definition, Resource
from knarr.apimachinery.types import Object
from knarr.apiserver.cache_reader import decode
from knarr.apiserver.custom import selecting
from knarr.apiserver.custom.conversion import View, Webhooks
from knarr.apiserver.served import ServedResources
from knarr.apiserver.watch_cache import Change, Collection, Entry, OldEntry, WatchCache

#: Objects up to which each is looked at when a definition changes.
_FEW = 100


@dataclass(slots=True)
class Known:
    """What is remembered of a definition, served or not."""

    group: str
    accepted: Object
    #: Whether its status may not be what it should: others may have names that it asks for, or it ends.
    waits: bool = False
    found: Definition | None = None
    collection: Collection | None = None
    #: Its versions, where a webhook converts.
    views: list[View] = field(default_factory=list)


class CustomResources:
    """Keeps `ServedResources` what the definitions say."""

    def __init__(self, served: ServedResources, cache: WatchCache, webhooks: Webhooks | None = None) -> None:
        self._served = served
        self._cache = cache
        self._webhooks = webhooks
        self._known: dict[str, Known] = {}
        #: The same by group.
        self._groups: dict[str, dict[str, Known]] = {}

    def load(self) -> None:
        """Serve what the cache has, from now on what it gets."""
        collection = self._cache.collection(CUSTOMRESOURCEDEFINITIONS)
        for entry in collection.entries.values():
            self._look_at(decode(collection, entry), entry)
        self._cache.listen(self.on_change, CUSTOMRESOURCEDEFINITIONS.group)

    def on_change(self, collection: Collection, change: Change) -> None:
        """Take a change of a definition."""
        if collection.resource is not CUSTOMRESOURCEDEFINITIONS:
            return
        if change.deleted:
            name = change.entry.head.metadata.name
            known = self._known.pop(name, None)
            if known is not None:
                self._withdraw(known)
                self._groups[known.group].pop(name, None)
        else:
            self._look_at(decode(collection, change.entry), change.entry)

    def others(self, group: str, name: str) -> Iterator[Object]:
        """The accepted names of a group's other definitions."""
        return (each.accepted for other, each in self._groups.get(group, {}).items() if other != name)

    def waiting(self, group: str) -> list[str]:
        """The definitions of a group that wait for names."""
        return [name for name, each in self._groups.get(group, {}).items() if each.waits]

    def unsettled(self) -> list[str]:
        """All definitions whose status may not be what it should."""
        return [name for name, each in self._known.items() if each.waits]

    def found(self, name: str) -> Definition | None:
        """A definition whose objects are served."""
        known = self._known.get(name)
        return known.found if known is not None else None

    def collection(self, name: str) -> Collection | None:
        """The objects of a definition, if it is served."""
        known = self._known.get(name)
        return known.collection if known is not None else None

    def _look_at(self, crd: Object, entry: Entry) -> None:
        name, spec = crd["metadata"]["name"], crd["spec"]
        accepted = (crd.get("status") or {}).get("acceptedNames") or {}
        known = self._known.setdefault(name, Known(spec["group"], accepted))
        self._groups.setdefault(known.group, {})[name] = known
        known.accepted = accepted
        known.waits = definition.is_unsettled(crd)
        if not definition.is_served(crd):
            self._withdraw(known)
            return
        ends = definition.condition(crd, "Terminating")
        text = orjson.dumps([spec, accepted, ends], option=orjson.OPT_SORT_KEYS)
        fingerprint = hashlib.sha256(text).hexdigest()
        if known.found is not None and known.found.fingerprint == fingerprint:
            known.found.body = entry.body
            return
        found = definition.define(crd, entry.body)
        found.fingerprint = fingerprint
        self._serve(known, found, first=crd["metadata"].get("generation", 1) <= 1)

    def _serve(self, known: Known, found: Definition, *, first: bool) -> None:
        """Serve a definition's versions; `first`: its objects have never had another schema."""
        before, known.found = known.found, found
        stored = found.versions.get(found.storage_version)
        if stored is None:
            self._withdraw(known)
            return
        served = [resource for resource in found.versions.values() if resource.custom and resource.custom.served]
        collection = self._cache.add(stored, stored.api_version)
        paths = tuple(dict.fromkeys(path for each in found.versions.values() for path in _selectable(each)))
        _close(known)
        collection.redefine(stored, selecting.head_of(paths))
        if before is not None:
            collection.cut()
            for resource in before.versions.values():
                if resource.version not in {each.version for each in served}:
                    self._served.remove(resource)
        as_shown = stored if _is_shown_as_stored(found, collection, stored, first=first) else replace(stored)
        for resource in served:
            scope = self._served.add_custom(resource, as_shown, collection, selecting.getters(_selectable(resource)))
            if found.calls_webhook and self._webhooks is not None:
                view = View(self._webhooks, found, collection, scope)
                scope.converter = view
                known.views.append(view)
        known.collection = collection

    def _withdraw(self, known: Known) -> None:
        """Serve its objects no more."""
        if known.found is None:
            return
        for resource in known.found.versions.values():
            self._served.remove(resource)
        if known.collection is not None:
            known.collection.cut()
            self._cache.remove(known.collection)
        _close(known)
        known.found = known.collection = None


def follow_definitions(served: ServedResources, cache: WatchCache, webhooks: Webhooks) -> CustomResources:
    """Serve what the definitions in a cache say, now and from now on."""
    found = CustomResources(served, cache, webhooks)
    found.load()
    return found


def _close(known: Known) -> None:
    for view in known.views:
        view.close()
    known.views.clear()


def _is_shown_as_stored(found: Definition, collection: Collection, stored: Resource, *, first: bool) -> bool:
    """Whether the stored bytes are what the stored version shows, so that it need not be looked at for every read.

    They may not be: written under another schema, or in another version that keeps other fields.
    """
    if found.calls_webhook or not _have_one_schema(found):
        return False
    if first and not any(isinstance(entry, OldEntry) for entry in collection.entries.values()):
        return True
    return len(collection.entries) <= _FEW and all(_unchanged(collection, stored, each) for each in collection.entries)


def _have_one_schema(found: Definition) -> bool:
    if len(found.versions) < 2:
        return True
    schemas = [resource.custom.schema() for resource in found.versions.values() if resource.custom is not None]
    return all(schema == schemas[0] for schema in schemas[1:])


def _unchanged(collection: Collection, stored: Resource, key: str) -> bool:
    entry = collection.entries[key]
    obj = decode(collection, entry)
    return not isinstance(entry, OldEntry) and objects.restored(obj, stored) == obj


def _selectable(resource: Resource) -> tuple[str, ...]:
    return resource.custom.selectable if resource.custom is not None else ()
