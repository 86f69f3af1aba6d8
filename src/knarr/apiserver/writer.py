"""The guarded writes: an object's bytes go to the store, come back through the watch cache, and are the answer."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError, timeout
from knarr.apimachinery.types import Object
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Collection, Entry, WatchCache, at_revision, encode
from knarr.component_base.metrics import Histogram
from knarr.storage.store import Expiring, KeyValue, Rewriting, Store

#: Bytes of one stored object (etcd's limit for a request).
MAX_OBJECT = 1_572_864
#: Seconds that objects are kept after their last change, by storage (kube-apiserver's `--event-ttl`).
LIFETIMES = {"events": 3600}
#: Seconds the cache may take to see a committed write.
_PATIENCE = 30.0


class Writer:
    """Writes to the store. Raises the store's errors; an answer is given when the cache shows the change."""

    def __init__(self, store: Store, cache: WatchCache, latencies: Histogram) -> None:
        self._store = store
        self._expiring = store if isinstance(store, Expiring) else None
        self._rewriting = store if isinstance(store, Rewriting) else None
        self._cache = cache
        self._latencies = latencies

    def stale(self, key: str) -> bool:
        """Whether a write that changes nothing is wanted all the same."""
        return self._rewriting is not None and self._rewriting.stale(key)

    async def create(self, scope: Scope, key: str, obj: Object) -> Entry:
        """Write a new object (in the stored version). Raises `KeyExistsError`."""
        collection = scope.keep
        value = _encode(collection, obj)
        began = perf_counter()
        revision = await self._create(collection, key, value)
        self._stored("create", collection.resource, began)
        return await self._written(collection, key, value, revision)

    async def update(self, scope: Scope, entry: Entry, obj: Object) -> Entry:
        """Replace what `entry` shows. Raises `ConflictError`, `KeyNotFoundError`."""
        collection = scope.keep
        value = _encode(collection, obj)
        began = perf_counter()
        revision = await self._update(collection, entry, value)
        self._stored("update", collection.resource, began)
        return await self._written(collection, entry.key, value, revision)

    async def delete(self, scope: Scope, entry: Entry) -> Entry:
        """Remove what `entry` shows; gives its last state at the deletion's revision. Raises as `update`."""
        began = perf_counter()
        revision = await self._store.delete(entry.key, entry.revision)
        self._stored("delete", scope.keep.resource, began)
        await self._reach(revision)
        return at_revision(entry, revision)

    def _create(self, collection: Collection, key: str, value: bytes) -> Awaitable[int]:
        if self._expiring is not None and (seconds := LIFETIMES.get(collection.resource.storage)):
            return self._expiring.create_for(key, value, seconds)
        return self._store.create(key, value)

    def _update(self, collection: Collection, entry: Entry, value: bytes) -> Awaitable[int]:
        if self._expiring is not None and (seconds := LIFETIMES.get(collection.resource.storage)):
            return self._expiring.update_for(entry.key, value, entry.revision, seconds)
        return self._store.update(entry.key, value, entry.revision)

    def _stored(self, operation: str, resource: Resource, began: float) -> None:
        self._latencies.observe(perf_counter() - began, (operation, resource.group, resource.plural))

    async def _written(self, collection: Collection, key: str, value: bytes, revision: int) -> Entry:
        if self._cache.revision < revision:
            await self._reach(revision)
        entry = collection.entries.get(key)
        if entry is not None and entry.revision == revision:
            return entry
        # Somebody was faster: the answer is still what this write made.
        return collection.entry_of(KeyValue(key, value, revision, revision))

    async def _reach(self, revision: int) -> None:
        if not await self._cache.reached(revision, _PATIENCE):
            raise timeout(f"the change was stored at revision {revision} and is not visible yet")


def _encode(collection: Collection, obj: Object) -> bytes:
    value = encode(obj, collection.suffix)
    if len(value) > MAX_OBJECT:
        message = f"Request is too large: limit is {MAX_OBJECT} bytes"
        raise StatusError(413, "RequestEntityTooLarge", message)
    return value
