"""The controllers of definitions: names and conditions as soon as one is written, and its end.

Names are given by one worker, one definition after the other: who asks first has them.
"""

from __future__ import annotations

from knarr.api.custom import status
from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import loopback
from knarr.apiserver.context import Context
from knarr.apiserver.custom.cleanup import Cleanup
from knarr.apiserver.custom.registry import CustomResources
from knarr.apiserver.watch_cache import Change, Collection
from knarr.apiserver.worklist import Worklist
from knarr.component_base import logs
from knarr.component_base.http_server import Handler
from knarr.component_base.tasks import Tasks

_log = logs.get("apiserver")
_DEFINITION = (CUSTOMRESOURCEDEFINITIONS.plural, CUSTOMRESOURCEDEFINITIONS.group)
#: The definition is another one meanwhile, or gone: its next change is looked at as well.
_OVERTAKEN = (404, 409)


class DefinitionController:
    """Writes the status of definitions, and ends those that are deleted."""

    def __init__(self, ctx: Context, custom: CustomResources, handler: Handler, tasks: Tasks) -> None:
        self._ctx = ctx
        self._custom = custom
        self._handler = handler
        self._tasks = tasks
        self._worklist = Worklist(self._look_at)
        self._ending: set[str] = set()

    def start(self) -> None:
        """Look at those that an earlier end left undone, and from now on at those that change."""
        for name in self._custom.unsettled():
            self._worklist.want(name)
        self._ctx.cache.listen(self.on_change, CUSTOMRESOURCEDEFINITIONS.group)
        self._tasks.forever(self._worklist.work, "custom-resource-definitions")

    def on_change(self, collection: Collection, change: Change) -> None:
        """Look at a definition, and at those that wait for its names."""
        if collection.resource is not CUSTOMRESOURCEDEFINITIONS:
            return
        name: str = change.entry.head.metadata.name
        if not change.deleted:
            self._worklist.want(name)
        for other in self._custom.waiting(name.partition(".")[2]):
            self._worklist.want(other)

    async def _look_at(self, name: str) -> None:
        crd = self._ctx.reader.get(*_DEFINITION, "", name)
        if crd is None:
            return
        try:
            await self._settle(name, crd)
        except StatusError as error:
            if error.code not in _OVERTAKEN:
                _log.warning("the status of a definition cannot be written", name=name, error=error)
        meta = crd["metadata"]
        if meta.get("deletionTimestamp") and status.FINALIZER in (meta.get("finalizers") or ()):
            self._end(name)

    async def _settle(self, name: str, crd: Object) -> None:
        now = timestamps.seconds(self._ctx.clock.now())
        wanted = status.settled(crd, self._custom.others(crd["spec"]["group"], name), now)
        if wanted != crd.get("status"):
            path = CUSTOMRESOURCEDEFINITIONS.path("", name, "status")
            await loopback.call(self._handler, "PUT", path, {**crd, "status": wanted})

    def _end(self, name: str) -> None:
        if name not in self._ending:
            self._ending.add(name)
            self._tasks.start(self._ended(name), "custom-resource-cleanup")

    async def _ended(self, name: str) -> None:
        try:
            await Cleanup(self._ctx, self._custom, self._handler, name).run()
        finally:
            self._ending.discard(name)
