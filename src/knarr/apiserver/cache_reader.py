"""Reads of the watch cache as decoded objects, for admission, authentication and authorization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from knarr.apimachinery.types import Object
from knarr.apiserver.watch_cache import Collection, Entry, WatchCache

#: Decoded objects that are kept; what writes look at again and again are a few namespaces, accounts and classes.
_KEPT = 512
#: Collections up to this size are kept when they are listed.
_SMALL = 64


class CacheReader:
    """The `Reader` protocol over a watch cache. What it gives is shared: read-only."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._collections: dict[tuple[str, str], Collection] = {}
        self._generation = 0
        self._kept: dict[str, tuple[Entry, Object]] = {}
        #: Small collections, by prefix: at which revision they had last changed, and their objects.
        self._lists: dict[str, tuple[int, Sequence[Object]]] = {}

    def get(self, resource: str, group: str, namespace: str, name: str) -> Object | None:
        """One object by plural resource name and group, or None."""
        collection = self._collection(resource, group)
        if collection is None:
            return None
        prefix = f"{collection.prefix}{namespace}/" if collection.resource.namespaced else collection.prefix
        entry = collection.entries.get(prefix + name)
        return self._decoded(collection, entry) if entry is not None else None

    def list(self, resource: str, group: str, namespace: str = "") -> Iterator[Object]:
        """The objects of a namespace, or of all."""
        collection = self._collection(resource, group)
        if collection is None or not collection.entries:
            # Most clusters have none of what admission asks for with every write.
            return iter(())
        if not namespace and len(collection.entries) <= _SMALL:
            return iter(self._small(collection))
        return self._listed(collection, f"{collection.prefix}{namespace}/" if namespace else collection.prefix)

    def _small(self, collection: Collection) -> Sequence[Object]:
        """All objects of a small collection, listed anew when it has changed: classes are asked for with every pod."""
        found = self._lists.get(collection.prefix)
        if found is None or found[0] != collection.changed:
            objects = tuple(self._listed(collection, collection.prefix))
            found = self._lists[collection.prefix] = (collection.changed, objects)
        return found[1]

    def _listed(self, collection: Collection, prefix: str) -> Iterator[Object]:
        small = len(collection.entries) <= _SMALL
        for entry in list(collection.range(prefix)):
            yield self._decoded(collection, entry) if small else decode(collection, entry)

    def _collection(self, resource: str, group: str) -> Collection | None:
        if self._generation != self._cache.generation:
            self._collections.clear()
            self._generation = self._cache.generation
        found = self._collections.get((resource, group))
        if found is None:
            for collection in self._cache.collections:
                if (collection.resource.plural, collection.resource.group) == (resource, group):
                    found = self._collections[resource, group] = collection
        return found

    def _decoded(self, collection: Collection, entry: Entry) -> Object:
        kept = self._kept.get(entry.key)
        if kept is not None and kept[0] is entry:
            return kept[1]
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        obj = decode(collection, entry)
        self._kept[entry.key] = (entry, obj)
        return obj


def decode(collection: Collection, entry: Entry) -> Object:
    """A fresh copy of an entry's object, with its kind, in the version it is stored in."""
    obj = entry.decode()
    obj["kind"] = collection.resource.kind
    obj["apiVersion"] = collection.resource.api_version
    return obj
