"""The watch cache: every object's bytes, indexed, with the recent changes and the watchers of each collection.

Input: committed events in revision order. Invariants: an entry's body carries its resourceVersion as the first
field of `metadata` and no `kind`/`apiVersion` (list items have none; `Entry.single` adds them); `revision` never
goes back; a watcher sees every change of its range after the revision it began at, in order, or is cut.
"""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
import orjson

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver import selectable
from knarr.apiserver.followers import Demand, Follower, Followers
from knarr.apiserver.label_index import LabelIndex
from knarr.storage.store import Event, KeyValue, StoreError

_HEAD = b'{"metadata":{'
#: How values begin that kube-apiserver has written in its usual form.
_PROTOBUF = b"k8s\0"
#: Other keys of a store are not the API's.
_REGISTRY = "/registry/"
#: Slashes in the folder of a custom resource: `/registry/example.com/widgets`.
_CUSTOM_PARTS = 3
_DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions"
#: Recent changes kept for watches that resume; older ones are read from the store's history.
KEPT_CHANGES = 2048
#: Changes a watcher may be behind before it is cut.
WATCHER_LIMIT = 10_000


def encode(obj: Object, type_suffix: bytes) -> bytes:
    """The stored bytes of an object: metadata first, without resourceVersion, `kind` and `apiVersion` last."""
    meta = obj["metadata"]
    version = meta.pop("resourceVersion", None)
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "kind", "apiVersion")}
    try:
        value = b'{"metadata":' + orjson.dumps(meta)
    finally:
        if version is not None:
            meta["resourceVersion"] = version
    if rest:
        value += b"," + orjson.dumps(rest)[1:-1]
    return value + type_suffix


def type_suffix(api_version: str, kind: str) -> bytes:
    """What ends the bytes of every object of a kind."""
    return b',"kind":' + orjson.dumps(kind) + b',"apiVersion":' + orjson.dumps(api_version) + b"}"


class Entry:
    """One object at one revision."""

    __slots__ = ("body", "head", "key", "revision")

    def __init__(self, key: str, revision: int, body: bytes, head: Any) -> None:
        self.key = key
        self.revision = revision
        self.body = body
        #: The partially decoded object: `head.metadata.labels`, selectable fields.
        self.head = head

    def decode(self) -> Object:
        """A fresh copy of the object, without `kind` and `apiVersion`."""
        out: Object = orjson.loads(self.body)
        return out


class OldEntry(Entry):
    """An object that is stored in another version than new ones are."""

    __slots__ = ("api_version",)

    def __init__(self, entry: Entry, api_version: str) -> None:
        super().__init__(entry.key, entry.revision, entry.body, entry.head)
        self.api_version = api_version


class Viewed(Entry):
    """An object as another version than the stored one shows it."""

    __slots__ = ("api_version", "kind")

    def __init__(self, entry: Entry, kind: str, api_version: str) -> None:
        super().__init__(entry.key, entry.revision, entry.body, entry.head)
        self.kind = kind
        self.api_version = api_version

    def whole(self) -> Object:
        """A fresh copy of the object, with `kind` and `apiVersion`."""
        return {**self.decode(), "kind": self.kind, "apiVersion": self.api_version}


def at_revision(entry: Entry, revision: int) -> Entry:
    """The same object under another revision, as the deletion of its last state shows it."""
    body = entry.body.replace(b'"%d"' % entry.revision, b'"%d"' % revision, 1)
    if isinstance(entry, OldEntry):
        return OldEntry(Entry(entry.key, revision, body, entry.head), entry.api_version)
    return Entry(entry.key, revision, body, entry.head)


class Change:
    """One change of a collection, with its encodings made once for all watchers."""

    __slots__ = ("_lines", "deleted", "entry", "previous")

    def __init__(self, entry: Entry, previous: Entry | None, *, deleted: bool) -> None:
        self.entry = entry
        self.previous = previous
        self.deleted = deleted
        self._lines: dict[tuple[str, str], bytes] = {}

    def line(self, event_type: str, form: str, encode_event: Callable[[str, Entry], bytes]) -> bytes:
        """The watch line for an event type in a form (`json`, `table`, …); encoded once for each."""
        key = (event_type, form)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = encode_event(event_type, self.entry)
        return line


class Watcher:
    """A place in a collection's stream of changes: a bounded queue and a wake-up."""

    __slots__ = ("_waiter", "cut", "demand", "prefix", "queue")

    def __init__(self, prefix: str, demand: Demand | None = None) -> None:
        self.prefix, self.demand = prefix, demand
        self.queue: deque[Change] = deque()
        self.cut = False
        self._waiter: asyncio.Future[None] | None = None

    def push(self, change: Change) -> None:
        """Queue a change; a watcher too far behind is cut."""
        if len(self.queue) >= WATCHER_LIMIT:
            self.cut = True
        else:
            self.queue.append(change)
        self.wake()

    def cut_off(self) -> None:
        """Changes were missed: there is no going on."""
        self.cut = True
        self.wake()

    def wake(self) -> None:
        """Let `wait` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until there is a change, the watcher is cut, or somebody calls `wake`."""
        if self.queue or self.cut:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


def _as_old(entry: Entry, before: str, now: str) -> Entry:
    """An entry when objects are stored in another version from now on."""
    version = entry.api_version if isinstance(entry, OldEntry) else before
    plain = Entry(entry.key, entry.revision, entry.body, entry.head)
    return plain if version == now else OldEntry(plain, version)


def _decode(kv: KeyValue) -> Object:
    """An object that somebody else has written. Raises `StoreError`."""
    if kv.value.startswith(_PROTOBUF):
        why = "is protobuf, of a kube-apiserver; knarr and one that runs with --storage-media-type=application/json can"
        raise StoreError(f"{kv.key} {why} share a datastore")
    obj: Object = orjson.loads(kv.value)
    return obj


class Collection:
    """The objects below one storage prefix."""

    def __init__(self, resource: Resource, api_version: str) -> None:
        self.resource = resource
        self.prefix = f"/registry/{resource.storage}/"
        self.suffix = type_suffix(api_version, resource.kind)
        self.entries: dict[str, Entry] = {}
        self._labels: LabelIndex[Entry] = LabelIndex()
        self.changed = 0
        self._keys: list[str] = []
        self._changes: deque[Change] = deque(maxlen=KEPT_CHANGES)
        #: Watches may resume from here without the store's history.
        self.kept_since = 0
        self._followers: Followers[Change] = Followers(self.prefix)
        self._decoder = msgspec.json.Decoder(selectable.head_type(resource.group, resource.plural))
        self._head_of: Callable[[bytes], Any] = self._decoder.decode

    def entry_of(self, kv: KeyValue) -> Entry:
        """The entry for a stored value: the revision spliced in, the type cut off."""
        value, old = kv.value, ""
        if not (value.startswith(_HEAD) and value.endswith(self.suffix)):
            obj = _decode(kv)
            if self.resource.custom is not None and obj.get("apiVersion") != self.resource.api_version:
                old = obj.get("apiVersion", "")
            value = encode(obj, self.suffix)
        body = b'%b"resourceVersion":"%d",%b}' % (_HEAD, kv.mod_revision, value[len(_HEAD) : -len(self.suffix)])
        entry = Entry(kv.key, kv.mod_revision, body, self._head_of(body))
        return OldEntry(entry, old) if old else entry

    def single(self, entry: Entry) -> bytes:
        """The object as a GET or a watch event shows it, with `kind` and `apiVersion`."""
        return entry.body[:-1] + self.suffix

    def range(self, prefix: str, after: str = "") -> Iterator[Entry]:
        """The entries below a key prefix, in key order, behind the key `after`."""
        start = bisect.bisect_right(self._keys, after) if after > prefix else bisect.bisect_left(self._keys, prefix)
        end = len(self._keys) if prefix == self.prefix else bisect.bisect_left(self._keys, prefix + "\U0010ffff")
        return map(self.entries.__getitem__, self._keys[start:end])

    def labelled(self, label: str, value: str, prefix: str, after: str = "") -> Iterable[Entry]:
        """As `range`, only the entries whose label has this value."""
        found = self._labels.find(label, value, self.entries.values())
        if len(found) > self.count(prefix):
            found = {entry.key: entry for entry in self.range(prefix) if entry.key in found}
        whole = prefix == self.prefix and not after
        return [found[key] for key in sorted(found) if whole or (key > after and key.startswith(prefix))]

    def count(self, prefix: str) -> int:
        """How many keys stand below a prefix."""
        return bisect.bisect_left(self._keys, prefix + "\U0010ffff") - bisect.bisect_left(self._keys, prefix)

    def load(self, items: Sequence[KeyValue], revision: int) -> None:
        """Take the state at start."""
        for kv in items:
            self.entries[kv.key] = self.entry_of(kv)
            self.changed = max(self.changed, kv.mod_revision)
        self._keys = sorted(self.entries)
        self.kept_since = revision

    def reload(self, items: Sequence[KeyValue], revision: int) -> list[Change]:
        """Take a state whose changes were not seen; gives the difference. Watchers are cut: they have missed some."""
        before = self.entries
        self._labels.clear()
        self.entries = {kv.key: self.entry_of(kv) for kv in items}
        self._keys = sorted(self.entries)
        gone = [entry for key, entry in before.items() if key not in self.entries]
        changes = [Change(at_revision(entry, revision), entry, deleted=True) for entry in gone]
        for key, entry in self.entries.items():
            previous = before.get(key)
            if previous is None or previous.revision != entry.revision:
                changes.append(Change(entry, previous, deleted=False))
        self._changes.clear()
        self.changed = self.kept_since = revision
        self.cut()
        return changes

    def apply(self, event: Event) -> Change:
        """Take one committed change and tell the watchers."""
        entry = self.entry_of(event.kv)
        previous = self.entries.get(entry.key)
        if event.deleted:
            if previous is not None:
                del self.entries[entry.key]
                del self._keys[bisect.bisect_left(self._keys, entry.key)]
        else:
            self.entries[entry.key] = entry
            if previous is None:
                bisect.insort(self._keys, entry.key)
        self._labels.change(previous, None if event.deleted else entry)
        change = Change(entry, previous, deleted=event.deleted)
        self.changed = entry.revision
        if len(self._changes) == KEPT_CHANGES:
            self.kept_since = self._changes[0].entry.revision
        self._changes.append(change)
        heads = (entry.head,) if previous is None else (entry.head, previous.head)
        for follower in self._followers.told(entry.key, *heads):
            follower.push(change)
        return change

    def since(self, revision: int, prefix: str) -> list[Change]:
        """The kept changes after a revision; only whole when `revision >= kept_since`."""
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.entry.revision <= revision:
                break
            if change.entry.key.startswith(prefix):
                found.append(change)
        found.reverse()
        return found

    def watch(self, prefix: str, demand: Demand | None = None) -> Watcher:
        """Queue changes from now on; `unfollow` ends it."""
        watcher = Watcher(prefix, demand)
        self.follow(watcher)
        return watcher

    def follow(self, follower: Follower[Change]) -> None:
        """Tell of changes from now on; `unfollow` ends it."""
        self._followers.add(follower)

    def unfollow(self, follower: Follower[Change]) -> None:
        """Tell of changes no longer."""
        self._followers.remove(follower)

    @property
    def has_history(self) -> bool:
        """Whether the store's history shows the same objects."""
        return True

    def shown_at(self, revision: int) -> int:
        """The revision up to which this has all changes when the cache is at `revision`."""
        return revision

    @property
    def is_followed(self) -> bool:
        """Whether anybody is told of changes."""
        return bool(self._followers)

    def cut(self) -> None:
        """End all watches: what they show is no more what is served."""
        for follower in self._followers:
            follower.cut_off()

    def redefine(self, resource: Resource, head_of: Callable[[bytes], Any] | None = None) -> None:
        """Store objects as this resource from now on. `head_of` reads what selects them, unless it is the usual."""
        before, self.resource = self.resource, resource
        self.suffix = type_suffix(resource.api_version, resource.kind)
        self._head_of = head_of or self._decoder.decode
        for key, entry in self.entries.items():
            entry.head = self._head_of(entry.body)
            if before.api_version != resource.api_version:
                self.entries[key] = _as_old(entry, before.api_version, resource.api_version)
        self._labels.clear()
        # Lines of changes are made as objects were shown until now.
        self._changes.clear()
        self.kept_since = max(self.changed, self.kept_since)

    def change_of(self, event: Event) -> Change:
        """A change read from the store's history."""
        previous = self.entry_of(event.previous) if event.previous is not None else None
        return Change(self.entry_of(event.kv), previous, deleted=event.deleted)


Listener: TypeAlias = Callable[[Collection, Change], None]


class WatchCache:
    """All collections. `apply` is called with committed events, in order, before their writers are answered."""

    def __init__(self) -> None:
        self.revision = 0
        #: Grows when collections come or go.
        self.generation = 0
        self._by_storage: dict[str, Collection] = {}
        #: What was loaded and is nobody's yet, by the first two parts of its key: custom resources come later.
        self._unclaimed: dict[str, list[KeyValue]] = {}
        #: Who is told of changes, and of which groups only.
        self._listeners: list[tuple[Listener, frozenset[str]]] = []
        self._told: dict[str, tuple[Listener, ...]] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def add(self, resource: Resource, api_version: str) -> Collection:
        """Serve a resource; several versions of it share one collection."""
        found = self._by_storage.get(resource.storage)
        if found is None:
            found = self._by_storage[resource.storage] = Collection(resource, api_version)
            found.load(self._unclaimed.pop(resource.storage, ()), self.revision)
            self.generation += 1
        return found

    def remove(self, collection: Collection) -> None:
        """Keep a collection no longer, unless there is something in it."""
        if not collection.entries and self._by_storage.pop(collection.resource.storage, None) is not None:
            self.generation += 1

    def collection(self, resource: Resource) -> Collection:
        """The collection of a resource."""
        return self._by_storage[resource.storage]

    @property
    def collections(self) -> Sequence[Collection]:
        """All collections."""
        return tuple(self._by_storage.values())

    def listen(self, listener: Listener, *groups: str) -> None:
        """Call `listener` for every change, synchronously; with `groups` for those of resources of these alone."""
        self._listeners.append((listener, frozenset(groups)))
        self._told.clear()

    def _told_of(self, group: str) -> tuple[Listener, ...]:
        """Who is told of the changes of a group: most listeners wait for what seldom changes."""
        found = self._told.get(group)
        if found is None:
            found = self._told[group] = tuple(one for one, of in self._listeners if not of or group in of)
        return found

    def load(self, items: Sequence[KeyValue], revision: int) -> None:
        """Take the whole state at start."""
        groups = self._grouped(items)
        self.revision = revision
        for storage, collection in self._by_storage.items():
            collection.load(groups.get(storage, ()), revision)

    def reload(self, items: Sequence[KeyValue], revision: int) -> None:
        """Take the whole state after changes that were missed; listeners hear of the difference."""
        groups = self._grouped(items)
        self.revision = revision
        # Definitions come first: they say which other collections there are.
        for storage in sorted(self._by_storage, key=lambda each: each != _DEFINITIONS):
            collection = self._by_storage.get(storage)
            if collection is None:
                continue
            for change in collection.reload(groups.get(storage, ()), revision):
                for listener in self._told_of(collection.resource.group):
                    listener(collection, change)
        self._wake()

    def _grouped(self, items: Sequence[KeyValue]) -> dict[str, list[KeyValue]]:
        groups: dict[str, list[KeyValue]] = {}
        unclaimed: dict[str, list[KeyValue]] = {}
        for kv in items:
            storage = self._storage_of(kv.key)
            if storage is not None:
                groups.setdefault(storage, []).append(kv)
            elif kv.key.startswith(_REGISTRY) and kv.key.count("/") > _CUSTOM_PARTS:
                unclaimed.setdefault("/".join(kv.key.split("/", 4)[2:4]), []).append(kv)
        self._unclaimed = unclaimed
        return groups

    def apply(self, events: Sequence[Event]) -> None:
        """Take committed changes."""
        for event in events:
            storage = self._storage_of(event.kv.key)
            if storage is not None:
                collection = self._by_storage[storage]
                change = collection.apply(event)
                for listener in self._told_of(collection.resource.group):
                    listener(collection, change)
            self.revision = max(self.revision, event.kv.mod_revision)
        if self._waiting:
            self._wake()

    async def reached(self, revision: int, seconds: float) -> bool:
        """Wait until the cache has passed a revision; False when the time is over."""
        if self.revision >= revision:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((revision, future))
        try:
            # Not `wait_for`, which on Python 3.11 forgets a cancellation that comes with the answer.
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        still = []
        for revision, future in self._waiting:
            if revision > self.revision:
                still.append((revision, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = [pair for pair in still if not pair[1].done()]

    def _storage_of(self, key: str) -> str | None:
        """The collection's folder: one, two or three path elements behind `/registry/`."""
        if not key.startswith(_REGISTRY):
            return None
        parts = key.split("/", 5)
        for count in (3, 4, 5):
            storage = "/".join(parts[2:count])
            if storage in self._by_storage and len(parts) > count:
                return storage
        return None
