"""Follows the flow schemas and priority levels of the cluster, and tells each request where it belongs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from knarr.apiserver import deadlines
from knarr.apiserver.cache_reader import CacheReader
from knarr.apiserver.flowcontrol import classify
from knarr.apiserver.flowcontrol.classify import Schema
from knarr.apiserver.flowcontrol.levels import Level, join, levels
from knarr.apiserver.flowcontrol.turns import Turns
from knarr.apiserver.request import RequestInfo, Response, UserInfo
from knarr.apiserver.watch_cache import Change, Collection
from knarr.component_base.http import Tally

_GROUP = "flowcontrol.apiserver.k8s.io"
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a request belongs."""

    level: Level
    #: Requests of one flow are dealt the same queues.
    key: str
    #: Priority level and flow schema, by name.
    labels: tuple[str, str]
    #: What names them in an answer.
    headers: Mapping[str, str]
    #: Where requests of the level and schema are counted.
    tally: Tally

    def mark(self, response: Response) -> None:
        """Name schema and level in an answer."""
        response.headers.update(self.headers)


class FlowControl:
    """The schemas and levels in force; listens to the watch cache."""

    def __init__(self, reader: CacheReader) -> None:
        self._reader = reader
        self.turns = Turns(time.perf_counter)
        #: Requests by priority level and flow schema, those that are gone included.
        self.tallies: dict[tuple[str, str], Tally] = {}
        self._schemas: list[Schema] | None = None
        self._levels: dict[str, Level] = {}
        self._known: dict[tuple[object, ...], Flow | None] = {}

    def on_change(self, collection: Collection, _change: Change) -> None:
        """Look anew after a change of schemas or levels."""
        if collection.resource.group == _GROUP:
            self._schemas = None

    def levels(self) -> list[Level]:
        """The levels in force."""
        if self._schemas is None:
            self._load()
        return list(self._levels.values())

    def flow(self, user: UserInfo, info: RequestInfo) -> Flow | None:
        """Where a request belongs; None for what runs for long, and while the cluster has no schema for it."""
        if self._schemas is None:
            self._load()
        key: tuple[object, ...]
        if info.is_resource:
            key = (user.name, user.groups, info.verb, info.resource, info.namespace, info.group, info.subresource)
        else:
            key = (user.name, user.groups, info.verb, info.path)
        try:
            return self._known[key]
        except KeyError:
            return self._classify(key, user, info)

    def _classify(self, key: tuple[object, ...], user: UserInfo, info: RequestInfo) -> Flow | None:
        flow = None
        if info.verb == "watch" or not deadlines.is_long_running(info):
            found = next((schema for schema in self._schemas or () if schema.matches(user, info)), None)
            flow = self._flow(found, self._levels[found.level], user, info) if found is not None else None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        if len(info.path) + len(user.name) < _REMEMBERED:
            self._known[key] = flow
        return flow

    def _load(self) -> None:
        before = self._levels
        self._levels = levels(list(self._reader.list("prioritylevelconfigurations", _GROUP)))
        for name, level in self._levels.items():
            old = before.get(name)
            # A level that goes on keeps its seats and those who wait.
            if old is not None and old.uid == level.uid and (old.queues is None) == (level.queues is None):
                old.limit, old.hand, old.longest = level.limit, level.hand, level.longest
                old.lends, old.borrows = level.lends, level.borrows
                self._levels[name] = old
        join(list(self._levels.values()))
        schemas = classify.compiled(self._reader.list("flowschemas", _GROUP))
        self._schemas = [schema for schema in schemas if schema.level in self._levels]
        self._known.clear()

    def _flow(self, schema: Schema, level: Level, user: UserInfo, info: RequestInfo) -> Flow:
        headers = {"X-Kubernetes-Pf-Flowschema-Uid": schema.uid, "X-Kubernetes-Pf-Prioritylevel-Uid": level.uid}
        labels = level.name, schema.name
        return Flow(level, schema.flow(user, info), labels, headers, self.tallies.setdefault(labels, Tally()))
