"""Follows a collection: one list, then watches from where it stood, for as long as the server remembers.

A watch that breaks is opened again at the last revision seen; only when the server has forgotten that revision is the
collection listed again. An idle cluster costs nothing but a new watch where the old one has run out.

Source of the rules: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.backoff import Backoff
from knarr.client.client import Client, WatchEvent
from knarr.component_base import logs
from knarr.component_base.clock import Clock

#: Objects of one page of a list.
_PAGE = "500"
#: Seconds that a watch is asked to last, at least; the true length is up to twice that.
_LENGTH = 1800
#: Seconds of the first pause after a failure, and of the longest.
_PAUSES = (0.1, 10.0)
#: A watch that ends sooner than this many seconds, without an event, has not worked.
_SHORT = 1.0
_log = logs.get("reflector")


@dataclass(frozen=True, slots=True)
class Selection:
    """What to follow. An empty namespace is all of them, an empty selector everything."""

    resource: Resource
    namespace: str = ""
    field_selector: str = ""
    label_selector: str = ""

    def options(self) -> dict[str, str]:
        """The query parameters that lists and watches share."""
        options = {"fieldSelector": self.field_selector, "labelSelector": self.label_selector}
        return {name: value for name, value in options.items() if value}

    def __str__(self) -> str:
        return " ".join(
            part for part in (self.resource.plural, self.namespace, self.field_selector, self.label_selector) if part
        )


class Sink(Protocol):
    """Takes what a reflector sees. Objects carry apiVersion and kind; revisions are numbers that grow."""

    def replace(self, objects: Sequence[Object], revision: int) -> None:
        """All there is, at a revision; whatever else was known is gone."""
        ...

    def apply(self, kind: str, obj: Object, revision: int) -> None:
        """One event: `ADDED`, `MODIFIED` or `DELETED`."""
        ...

    def reached(self, revision: int) -> None:
        """Nothing has changed up to this revision."""
        ...

    def failed(self, error: Exception) -> None:
        """A list or watch has failed; it is tried again."""
        ...


class Reflector:
    """Follows one selection into a sink. `spread` gives numbers in [0, 1)."""

    def __init__(
        self,
        client: Client,
        selection: Selection,
        sink: Sink,
        clock: Clock,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._selection = selection
        self._sink = sink
        self._clock = clock
        self._spread = spread
        self._backoff = Backoff(*_PAUSES, spread)
        #: Where the next watch begins; None before the first list, and when the server has forgotten.
        self._revision: str | None = None

    async def run(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Follow until `enough`, which is asked after each list and each event."""
        while not enough():
            try:
                if self._revision is None:
                    await self._list()
                else:
                    await self._watch(enough)
            except (StatusError, ConnectionError) as error:
                await self._after(error)

    async def _after(self, error: StatusError | ConnectionError) -> None:
        code = error.code if isinstance(error, StatusError) else 0
        if code == 410 and self._revision is not None:
            _log.info("listing again", selection=self._selection, reason=error)
        else:
            self._sink.failed(error)
            _log.warning("not followed", selection=self._selection, error=error)
        if code in (404, 410):
            self._revision = None
        asked = ((error.details or {}) if isinstance(error, StatusError) else {}).get("retryAfterSeconds", 0)
        await self._clock.sleep(max(float(asked), self._backoff.next()))

    async def _list(self) -> None:
        """Take over the whole collection, page by page."""
        try:
            items, version = await self._pages({"limit": _PAGE})
        except StatusError as error:
            if error.code != 410:
                raise
            # Pages took too long: what the first stood at is forgotten. In one piece that cannot happen.
            items, version = await self._pages({})
        self._revision = version
        self._sink.replace([self._typed(obj) for obj in items], int(version))

    async def _pages(self, options: dict[str, str]) -> tuple[list[Object], str]:
        options = {**self._selection.options(), **options}
        items: list[Object] = []
        version = ""
        while True:
            page = await self._client.list(self._selection.resource, self._selection.namespace, **options)
            items += page.get("items") or ()
            meta = page["metadata"]
            version = version or meta["resourceVersion"]
            if not meta.get("continue"):
                return items, version
            options["continue"] = meta["continue"]

    async def _watch(self, enough: Callable[[], bool]) -> None:
        began, events = self._clock.monotonic(), 0
        options = {
            **self._selection.options(),
            "resourceVersion": self._revision or "",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(_LENGTH * (1 + self._spread()))),
        }
        stream = self._client.watch(self._selection.resource, self._selection.namespace, **options)
        try:
            async with aclosing(stream):
                async for event in stream:
                    events += 1
                    self._take(event)
                    if enough():
                        return
        finally:
            # However it ended: it worked, or it has been quiet for a while, as most are.
            worked = events or self._clock.monotonic() - began >= _SHORT
            if worked:
                self._backoff.reset()
        if not worked:
            await self._clock.sleep(self._backoff.next())

    def _take(self, event: WatchEvent) -> None:
        version = event.object["metadata"]["resourceVersion"]
        if event.type == "BOOKMARK":
            self._sink.reached(int(version))
        else:
            self._sink.apply(event.type, self._typed(event.object), int(version))
        self._revision = version

    def _typed(self, obj: Object) -> Object:
        obj.setdefault("apiVersion", self._selection.resource.api_version)
        obj.setdefault("kind", self._selection.resource.kind)
        return obj
