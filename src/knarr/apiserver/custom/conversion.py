"""Versions that a webhook converts: the stored objects as each served version shows them.

A version that is served has a `View`: a collection of its own, filled from the stored one as somebody asks, so that
lists, watches and field selectors work on converted objects and each is converted once. Whoever reads waits until the
view has what the stored collection had when he came; whoever watches is served as changes come. A failed conversion
fails those who wait, and is tried again for the next one.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

import orjson

from knarr.api.custom import conversion, objects
from knarr.api.custom.conversion import ConversionError
from knarr.api.resources import Definition, Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds, names
from knarr.apiserver.custom import selecting
from knarr.apiserver.pending import Answers
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Change, Collection, Entry, OldEntry, Viewed, encode
from knarr.apiserver.webhooks.answers import CallError
from knarr.apiserver.webhooks.client import WebhookClient
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.storage.store import Event, KeyValue

_log = logs.get("apiserver")
#: Seconds that a conversion may take.
_TIMEOUT = 30.0
#: Objects that are sent at once.
_BATCH = 500
#: Seconds between attempts for those who watch.
_PAUSE = 1.0


class Webhooks:
    """What conversions are made with."""

    def __init__(self, client: WebhookClient, tasks: Tasks, clock: Clock) -> None:
        self.client = client
        self.tasks = tasks
        self._answers: Answers[tuple[str, str, bytes], Object | StatusError] = Answers(lambda _found: 0, clock, tasks)

    def converted(self, obj: Object, source: Resource, target: Resource) -> Object:
        """An object in another version, for those who cannot wait. Raises `Pending`, `StatusError`."""
        custom = target.custom
        if custom is None or not custom.definition.calls_webhook:
            return kinds.convert(obj, source, target)
        found = custom.definition

        async def ask() -> Object | StatusError:
            try:
                return (await self.convert(found, [obj], target))[0]
            except StatusError as error:
                return error

        text = orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
        answer = self._answers.get((found.uid, target.api_version, text), ask)
        if isinstance(answer, StatusError):
            raise answer
        return copy.deepcopy(answer)

    async def convert(self, found: Definition, given: Sequence[Object], target: Resource) -> list[Object]:
        """Objects of any versions in one version. Raises `StatusError` 500 as the webhook fails."""
        out: list[Object | None] = [None] * len(given)
        groups: dict[str, list[int]] = {}
        for at, obj in enumerate(given):
            groups.setdefault(obj["apiVersion"], []).append(at)
        for version, places in groups.items():
            for start in range(0, len(places), _BATCH):
                part = places[start : start + _BATCH]
                made = [given[at] for at in part]
                if version != target.api_version:
                    made = await self._ask(found, made, target.api_version)
                for at, obj in zip(part, made, strict=True):
                    out[at] = obj
        return [obj for obj in out if obj is not None]

    async def _ask(self, found: Definition, given: Sequence[Object], api_version: str) -> list[Object]:
        webhook = found.conversion.get("webhook") or {}
        config = webhook.get("clientConfig") or {}
        uid, version = names.uid(), conversion.review_version(webhook.get("conversionReviewVersions") or ())
        try:
            target = self.client.target(config)
            review = await self.client.post(target, conversion.question(given, api_version, uid, version), _TIMEOUT)
            return conversion.answered(given, api_version, (uid, version), review)
        except CallError as error:
            raise StatusError(500, "", str(conversion.failed(given[0], error))) from error
        except ConversionError as error:
            raise StatusError(500, "", str(error)) from error


class _Converted(Collection):
    """What a view shows."""

    def __init__(self, resource: Resource, waiting: deque[Change]) -> None:
        super().__init__(resource, resource.api_version)
        self._waiting = waiting

    @property
    def has_history(self) -> bool:
        return False

    def shown_at(self, revision: int) -> int:
        return min(revision, self._waiting[0].entry.revision - 1) if self._waiting else revision


class View:
    """The objects of a definition in one version. Implements `served.Converter`."""

    def __init__(self, webhooks: Webhooks, found: Definition, stored: Collection, scope: Scope) -> None:
        """`scope` serves the version; its collection is the stored one."""
        custom = scope.resource.custom
        head_of = selecting.head_of(custom.selectable) if custom is not None else None
        self._webhooks = webhooks
        self._found = found
        self._stored = stored
        self._target = scope.resource
        self._waiting: deque[Change] = deque()
        self.collection = _Converted(scope.resource, self._waiting)
        old = any(isinstance(entry, OldEntry) for entry in stored.entries.values())
        #: Whether nothing has to be converted for this version: it is the one that all are stored in.
        self._is_stored = scope.resource.version == found.storage_version and not old
        self._reading = replace(scope, converter=None)
        if not self._is_stored:
            self._reading = replace(self._reading, stored=scope.resource, collection=self.collection)
        self._lock = asyncio.Lock()
        self._loaded = False
        self._pumping = False
        self._closed = False
        self.collection.redefine(self._target, head_of)
        # What `Collection` tells its followers: everything below it.
        self.prefix, self.demand = stored.prefix, None

    async def reading(self) -> Scope:
        """The version as a scope to read from, up to date. Raises `StatusError`."""
        if self._is_stored:
            return self._reading
        await self._settle()
        return self._reading

    async def view(self, entry: Entry) -> Entry:
        """A stored entry as the version shows it. Raises `StatusError`."""
        known = self.collection.entries.get(entry.key)
        if known is not None and known.revision == entry.revision:
            return self._viewed(known)
        (obj,) = await self._converted([entry])
        return self._viewed(self.collection.entry_of(self._key_value(entry, obj)))

    async def shown(self, obj: Object) -> Object:
        """An object of any version in this one. Raises `StatusError`."""
        (made,) = await self._webhooks.convert(self._found, [obj], self._target)
        return objects.restored(made, self._target)

    async def stored_form(self, obj: Object) -> Object:
        """An object of the version as it is stored. Raises `StatusError`."""
        target = self._found.versions[self._found.storage_version]
        return (await self._webhooks.convert(self._found, [obj], target))[0]

    def close(self) -> None:
        """The version is served no more, or otherwise."""
        self._closed = True
        self._stored.unfollow(self)
        self.collection.cut()

    # as a follower of the stored collection

    def push(self, change: Change) -> None:
        """A change of what is stored."""
        self._waiting.append(change)
        if self.collection.is_followed and not self._pumping:
            self._pumping = True
            self._webhooks.tasks.start(self._pump(), "conversion")

    def cut_off(self) -> None:
        """Changes were missed: everything is converted anew."""
        self._loaded = False
        self._waiting.clear()
        self.collection.cut()

    async def _pump(self) -> None:
        """Convert for those who watch."""
        try:
            while not self._closed and self._waiting:
                try:
                    await self._settle()
                except StatusError as error:
                    _log.warning("objects cannot be converted for watches", name=self._found.name, error=error)
                    await asyncio.sleep(_PAUSE)
        finally:
            self._pumping = False

    async def _settle(self) -> None:
        async with self._lock:
            if not self._loaded:
                await self._load()
            while self._waiting:
                batch = list(self._waiting)
                made = await self._converted([change.entry for change in batch])
                if not self._loaded:
                    # Cut off meanwhile.
                    await self._load()
                    continue
                for change, obj in zip(batch, made, strict=True):
                    if self._waiting and self._waiting[0] is change:
                        self._waiting.popleft()
                        self.collection.apply(Event(self._key_value(change.entry, obj), change.deleted, None))

    async def _load(self) -> None:
        self._waiting.clear()
        self._stored.follow(self)
        entries = list(self._stored.entries.values())
        revision = max(self._stored.changed, self._stored.kept_since)
        self._loaded = True
        try:
            made = await self._converted(entries)
        except StatusError:
            self._loaded = False
            raise
        self.collection.entries.clear()
        pairs = zip(entries, made, strict=True)
        self.collection.load([self._key_value(entry, obj) for entry, obj in pairs], revision)

    async def _converted(self, entries: Iterable[Entry]) -> list[Object]:
        made = await self._webhooks.convert(self._found, [self._as_stored(each) for each in entries], self._target)
        return [objects.restored(obj, self._target) for obj in made]

    def _as_stored(self, entry: Entry) -> Object:
        """The object in the version it is stored in."""
        obj = entry.decode()
        resource = self._stored.resource
        version = entry.api_version if isinstance(entry, OldEntry) else resource.api_version
        known = self._found.versions.get(version.rpartition("/")[2])
        obj["kind"], obj["apiVersion"] = resource.kind, version
        return objects.restored(obj, known) if known is not None else obj

    def _key_value(self, entry: Entry, obj: Object) -> KeyValue:
        return KeyValue(entry.key, encode(obj, self.collection.suffix), entry.revision, entry.revision)

    def _viewed(self, entry: Entry) -> Entry:
        return Viewed(entry, self._target.kind, self._target.api_version)
