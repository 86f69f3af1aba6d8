"""Writes the scheduler's events (events.k8s.io/v1). The same event again raises the count of its series."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from knarr.api.registry import EVENTS_V1
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import MERGE_PATCH, Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock

_log = logs.get("scheduler.events")
#: Events that wait to be written; more are dropped.
_MOST_WAITING = 5000
#: Series kept open, and the seconds after which one is not continued.
_MOST_SERIES = 4096
_LONGEST_SERIES = 360.0


@dataclass(slots=True)
class _Series:
    name: str
    count: int
    seen: float


class Recorder:
    """Takes events at once and writes them in the background."""

    def __init__(self, client: Client, clock: Clock, controller: str, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._identity = {"reportingController": controller, "reportingInstance": instance}
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(_MOST_WAITING)
        self._series: OrderedDict[tuple[str, str, str], _Series] = OrderedDict()

    def record(self, event: Object) -> None:
        """Take an event made by `reports`."""
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            _log.warning("event dropped", reason=event["reason"], pod=event["regarding"]["name"])

    async def run(self) -> None:
        """Write events, forever."""
        while True:
            await self._attempt(await self._waiting.get())

    async def flush(self, patience: float = 2.0) -> None:
        """Write what waits before the end: when `run` has ended. Gives up after `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                while not self._waiting.empty():
                    await self._attempt(self._waiting.get_nowait())
        except TimeoutError:
            _log.warning("events left unwritten", count=self._waiting.qsize() + 1)

    async def _attempt(self, event: Object) -> None:
        try:
            await self._write(event)
        except (StatusError, ConnectionError) as error:
            _log.warning("event not written", reason=event["reason"], error=error)

    async def _write(self, event: Object) -> None:
        regarding, now = event["regarding"], self._clock.monotonic()
        key = (regarding["uid"], event["reason"], event["note"])
        series = self._series.get(key)
        if series is not None and now - series.seen < _LONGEST_SERIES:
            series.count, series.seen = series.count + 1, now
            patch = {"series": {"count": series.count, "lastObservedTime": timestamps.micro(self._clock.now())}}
            await self._client.patch(EVENTS_V1, series.name, patch, regarding["namespace"], content_type=MERGE_PATCH)
            return
        moment = self._clock.now()
        name = f"{regarding['name']}.{int(moment.timestamp() * 1e9):x}"
        meta = {"name": name, "namespace": regarding["namespace"]}
        head = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": meta}
        body = {**head, "eventTime": timestamps.micro(moment), **event, **self._identity}
        await self._client.create(EVENTS_V1, body, regarding["namespace"])
        self._series[key] = _Series(name, 1, now)
        self._series.move_to_end(key)
        while len(self._series) > _MOST_SERIES:
            self._series.popitem(last=False)
