"""Events live for an hour: what is older is removed, a few at a time, where the store does not do it by itself."""

from __future__ import annotations

import asyncio
import datetime

from knarr.api import registry
from knarr.apimachinery import timestamps
from knarr.apiserver.context import Context
from knarr.apiserver.watch_cache import Entry
from knarr.apiserver.writer import LIFETIMES
from knarr.storage.store import StoreError

#: How long an Event is kept after its last change.
TTL = datetime.timedelta(seconds=LIFETIMES["events"])
#: Seconds between two looks.
PERIOD = 60.0
_AT_ONCE = 64


class EventExpiry:
    """Removes old Events. An Event's age counts from its last occurrence, as every change prolongs its lease."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._scope = ctx.served.of(registry.EVENTS)
        self._collection = self._scope.keep

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self._ctx.clock.sleep(PERIOD)
            await self.sweep()

    async def sweep(self) -> int:
        """Remove what is old; gives how many went."""
        old = [entry for entry in self._collection.range(self._collection.prefix) if self._is_old(entry)]
        for begin in range(0, len(old), _AT_ONCE):
            await asyncio.gather(*(self._remove(entry) for entry in old[begin : begin + _AT_ONCE]))
        return len(old)

    def _is_old(self, entry: Entry) -> bool:
        event = entry.decode()
        series = event.get("series") or {}
        stamps = (
            series.get("lastObservedTime"),
            event.get("lastTimestamp"),
            event.get("eventTime"),
            event["metadata"].get("creationTimestamp"),
        )
        moments = [timestamps.parse(text) for text in stamps if text]
        return bool(moments) and max(moments) + TTL < self._ctx.clock.now()

    async def _remove(self, entry: Entry) -> None:
        try:
            await self._ctx.writer.delete(self._scope, entry)
        except StoreError:
            # Changed or gone meanwhile: the next look decides again.
            return
