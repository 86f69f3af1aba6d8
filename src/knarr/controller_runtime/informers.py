"""The watches of a component: one informer a selection, followed in the background, read as a snapshot."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from knarr.api.custom import definition
from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.reflector import Reflector, Selection
from knarr.component_base.clock import Clock, RealClock
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.informer import Informer

#: Seconds between two looks at what nobody has asked for.
_COOL_EVERY = 30.0
#: Resources of which not everything is kept: definitions are large.
_TRIMS = {CUSTOMRESOURCEDEFINITIONS: definition.outline}


def _metadata(obj: Object) -> Object:
    return {name: obj[name] for name in ("apiVersion", "kind", "metadata") if name in obj}


class Informers:
    """Follows what has been added, from `run` on. As a `Snapshot` it reads the first informer added of a resource."""

    def __init__(self, client: Client, clock: Clock | None = None, spread: Callable[[], float] = random.random) -> None:
        self._client = client
        self._clock = clock or RealClock()
        self._spread = spread
        self._tasks = Tasks()
        self._informers: dict[Selection, Informer] = {}
        self._by_resource: dict[Resource, Informer] = {}
        self._following: dict[Selection, asyncio.Task[Any]] = {}
        self._running = False

    def add(
        self,
        resource: Resource,
        /,
        *,
        namespace: str = "",
        field_selector: str = "",
        label_selector: str = "",
        keep_managed_fields: bool = False,
        metadata_only: bool = False,
    ) -> Informer:
        """The informer of a selection; the same one each time. `metadata_only`: nothing else is kept of objects."""
        selection = Selection(resource, namespace, field_selector, label_selector)
        informer = self._informers.get(selection)
        if informer is None:
            trim = _metadata if metadata_only else _TRIMS.get(resource)
            informer = Informer(selection, keep_managed_fields=keep_managed_fields, trim=trim)
            self._informers[selection] = informer
            self._by_resource.setdefault(resource, informer)
            if self._running:
                self._follow(informer)
        return informer

    def remove(self, resource: Resource, /) -> None:
        """Follow a resource no more; nothing is known of it from now on."""
        informer = self._by_resource.pop(resource, None)
        if informer is not None:
            del self._informers[informer.selection]
            task = self._following.pop(informer.selection, None)
            if task is not None:
                task.cancel()

    def run(self) -> None:
        """Begin to follow, in the background; what is added later is followed at once."""
        if not self._running:
            self._running = True
            for informer in self._informers.values():
                self._follow(informer)
            self._tasks.forever(self._keep_cool, "informers: what nobody asks for is kept as bytes")

    async def _keep_cool(self) -> None:
        await self._clock.sleep(_COOL_EVERY)
        for informer in list(self._informers.values()):
            for _ in informer.cool():
                await self._clock.sleep(0)

    async def synced(self) -> None:
        """Wait until all that have been added have taken over their first list."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))

    async def close(self) -> None:
        """Stop following. The caches stay readable."""
        await self._tasks.close()

    def _follow(self, informer: Informer) -> None:
        reflector = Reflector(self._client, informer.selection, informer, self._clock, self._spread)
        name = f"informer {informer.selection}"
        self._following[informer.selection] = self._tasks.forever(reflector.run, name)

    # Snapshot

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, or None. Raises `LookupError` for a resource that has not been added."""
        return self._of(resource).get(namespace, name)

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        """The objects of a namespace, or of all."""
        return self._of(resource).list(namespace)

    def indexed(self, resource: Resource, index: str, value: str) -> Sequence[Object]:
        """The objects that an index files under a value."""
        return self._of(resource).indexed(index, value)

    def _of(self, resource: Resource) -> Informer:
        informer = self._by_resource.get(resource)
        if informer is None:
            raise LookupError(f"{resource.plural} are not watched")
        return informer
