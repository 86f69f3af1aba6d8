"""The cache of one followed collection, with its indexes and listeners.

A decoded object takes five times the memory of its bytes. Those that nobody has asked for in a while are kept as
bytes, and decoded again when somebody does (`cool`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import orjson

from knarr.apimachinery.types import Object
from knarr.client.reflector import Selection
from knarr.component_base import logs
from knarr.controller_runtime.snapshot import index_values

Callback: TypeAlias = Callable[[Object | None, Object | None], None]
Trim: TypeAlias = Callable[[Object], Object]
Place: TypeAlias = tuple[str, str]
_Objects: TypeAlias = list[Object]
#: Objects that `cool` encodes before others have their turn: a few milliseconds.
_TURN = 500
_log = logs.get("informers")


class Informer:
    """Objects of a collection as the watch has shown them. What it gives must not be changed: copy first."""

    def __init__(
        self, selection: Selection, *, keep_managed_fields: bool = False, trim: Trim | None = None, few: int = 500
    ) -> None:
        """`trim` gives what is kept of an object; all of it where there is none. No more than `few` stay decoded."""
        self.selection = selection
        #: Set when the first list has been taken over.
        self.synced = asyncio.Event()
        #: The revision the watch has reached.
        self.revision = 0
        self._keep_managed_fields = keep_managed_fields
        self._trim = trim
        self._few = few
        #: Objects, or the bytes of those that have cooled down.
        self._objects: dict[Place, Object | bytes] = {}
        #: The places of decoded objects, and of those that were asked for since `cool` looked last.
        self._decoded: set[Place] = set()
        self._touched: set[Place] = set()
        self._namespaces: dict[str, dict[Place, None]] = {}
        self._lists: dict[str, _Objects] = {}
        #: The lists that were asked for since `cool` looked last.
        self._listed: set[str] = set()
        self._indexes: dict[str, dict[str, dict[Place, None]]] = {}
        self._callbacks: list[Callback] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def listen(self, callback: Callback) -> None:
        """Call back with (old, new) on every change, and with (None, object) for what is there already."""
        self._callbacks.append(callback)
        for obj in self._all(list(self._objects)):
            _call(callback, None, obj)

    def get(self, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self._held((namespace, name))

    def list(self, namespace: str = "") -> Sequence[Object]:
        """The objects of a namespace, or of all."""
        self._listed.add(namespace)
        found = self._lists.get(namespace)
        if found is None:
            source = self._objects if not namespace else self._namespaces.get(namespace, {})
            found = self._lists[namespace] = self._all(list(source))
        return found

    def indexed(self, index: str, value: str) -> Sequence[Object]:
        """The objects that an index files under a value. Raises `KeyError` for an index there is not."""
        table = self._indexes.get(index)
        if table is None:
            table = self._indexes[index] = {}
            for place in list(self._objects):
                _file(table, index, place, self._held(place))
        return self._all(table.get(value, ()))

    def cool(self) -> Iterator[None]:
        """Keep as bytes what was not asked for since the last time; pauses now and then, so that others have a turn.

        A list that was asked for keeps all its objects; a small collection is not worth the work.
        """
        touched, self._touched = self._touched, set()
        listed, self._listed = self._listed, set()
        if len(self._objects) < self._few or "" in listed:
            return
        for namespace in self._lists.keys() - listed:
            del self._lists[namespace]
        cold = [place for place in self._decoded - touched if place[0] not in listed]
        for number, place in enumerate(cold, 1):
            held = self._objects.get(place)
            if isinstance(held, dict) and place not in self._touched and place[0] not in self._listed:
                self._objects[place] = orjson.dumps(held)
                self._decoded.discard(place)
            if number % _TURN == 0:
                yield

    def _held(self, place: Place) -> Object | None:
        """The object at a place, decoded."""
        held = self._objects.get(place)
        if held is None:
            return None
        self._touched.add(place)
        if isinstance(held, bytes):
            decoded: Object = orjson.loads(held)
            self._objects[place] = held = decoded
            self._decoded.add(place)
        return held

    def _all(self, places: Iterable[Place]) -> _Objects:
        return [obj for place in places if (obj := self._held(place)) is not None]

    async def until(self, revision: int) -> None:
        """Wait until the watch has reached a revision."""
        if self.revision < revision:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((revision, waiter))
            await waiter

    def __len__(self) -> int:
        return len(self._objects)

    # Sink

    def replace(self, objects: Sequence[Object], revision: int) -> None:
        """Take over a list, and tell what differs from what was known."""
        present = {_place(obj): self._lean(obj) for obj in objects}
        changes: list[tuple[Object | None, Object | None]] = []
        for place in list(self._objects):
            old = self._held(place)
            if place not in present or _uid(present[place]) != _uid(old or {}):
                self._set(place, None)
                changes.append((old, None))
        for place, new in present.items():
            before = self._held(place)
            if before is None or _version(before) != _version(new):
                self._set(place, new)
                changes.append((before, new))
        # Listeners may read: what they read stands at one revision.
        self._reach(revision)
        for before, after in changes:
            self._tell(before, after)
        self.synced.set()

    def apply(self, kind: str, obj: Object, revision: int) -> None:
        """Take over one event."""
        place = _place(obj)
        old = self._held(place)
        new = None if kind == "DELETED" else self._lean(obj)
        self._set(place, new)
        self._reach(revision)
        if old is not None or new is not None:
            self._tell(old, new)

    def reached(self, revision: int) -> None:
        """Take over a bookmark."""
        self._reach(revision)

    def failed(self, error: Exception) -> None:
        """The cache stays as it is until the watch goes on."""

    def _lean(self, obj: Object) -> Object:
        if not self._keep_managed_fields:
            obj["metadata"].pop("managedFields", None)
        return obj if self._trim is None else self._trim(obj)

    def _set(self, place: Place, new: Object | None) -> None:
        old = self._held(place)
        self._objects.pop(place, None)
        namespace, _ = place
        of_namespace = self._namespaces.setdefault(namespace, {})
        of_namespace.pop(place, None)
        self._lists.pop("", None)
        self._lists.pop(namespace, None)
        for index, table in self._indexes.items():
            _unfile(table, index, place, old)
        if new is None:
            self._decoded.discard(place)
            self._touched.discard(place)
            if not of_namespace:
                del self._namespaces[namespace]
            return
        self._objects[place] = new
        of_namespace[place] = None
        self._decoded.add(place)
        self._touched.add(place)
        for index, table in self._indexes.items():
            _file(table, index, place, new)

    def _reach(self, revision: int) -> None:
        self.revision = revision
        for waiting in [waiting for waiting in self._waiters if waiting[0] <= revision]:
            self._waiters.remove(waiting)
            if not waiting[1].done():
                waiting[1].set_result(None)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        for callback in self._callbacks:
            _call(callback, old, new)


def _call(callback: Callback, old: Object | None, new: Object | None) -> None:
    try:
        callback(old, new)
    except Exception as error:  # noqa: BLE001 - one listener's fault must not keep a change from the others
        _log.error("listener failed", kind=(new or old or {}).get("kind", ""), error=error)


def _file(table: dict[str, dict[Place, None]], index: str, place: Place, obj: Object | None) -> None:
    for value in index_values(index, obj) if obj is not None else ():
        table.setdefault(value, {})[place] = None


def _unfile(table: dict[str, dict[Place, None]], index: str, place: Place, obj: Object | None) -> None:
    if obj is None:
        return
    for value in index_values(index, obj):
        filed = table.get(value)
        if filed is not None:
            filed.pop(place, None)
            if not filed:
                del table[value]


def _place(obj: Object) -> Place:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))
