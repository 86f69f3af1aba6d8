"""The end of a definition: all of its objects are deleted, then it is let go.

Source: k8s.io/apiextensions-apiserver/pkg/controller/finalizer/crd_finalizer.go.
"""

from __future__ import annotations

import asyncio

from knarr.api.custom import definition, status
from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.api.resources import Resource
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver import deleting, loopback, selectors, traits
from knarr.apiserver.context import Context
from knarr.apiserver.custom import selecting
from knarr.apiserver.custom.registry import CustomResources
from knarr.apiserver.negotiation import PLAIN
from knarr.apiserver.request import Request, RequestInfo
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Collection
from knarr.component_base.http_server import Handler

_DEFINITION = (CUSTOMRESOURCEDEFINITIONS.plural, CUSTOMRESOURCEDEFINITIONS.group)
#: Seconds that objects may take to go before that is said, and they are deleted again.
_PATIENCE = 60.0
#: Seconds between two attempts of one that fails.
_PAUSE = 1.0
_ATTEMPTS = 20


class Cleanup:
    """One definition on its way out."""

    def __init__(self, ctx: Context, custom: CustomResources, handler: Handler, name: str) -> None:
        self._ctx = ctx
        self._custom = custom
        self._handler = handler
        self._name = name

    async def run(self) -> None:
        """Bring it to its end."""
        crd = self._crd()
        if crd is None:
            return
        if definition.condition(crd, "Established"):
            await self._say("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
            while not await self._delete_objects():
                text = "could not confirm zero CustomResources remaining: timed out waiting for the condition"
                await self._say("True", "InstanceDeletionCheck", text)
            await self._say("False", "InstanceDeletionCompleted", "removed all instances")
        else:
            await self._say("False", "NeverEstablished", "resource was never established")
        await self._let_go()

    def _crd(self) -> Object | None:
        return self._ctx.reader.get(*_DEFINITION, "", self._name)

    async def _say(self, value: str, reason: str, message: str) -> None:
        for _ in range(_ATTEMPTS):
            crd = self._crd()
            if crd is None:
                return
            now = timestamps.seconds(self._ctx.clock.now())
            obj = {**crd, "status": status.terminating(crd, value, reason, message, now)}
            if await self._written("PUT", CUSTOMRESOURCEDEFINITIONS.path("", self._name, "status"), obj):
                return

    async def _let_go(self) -> None:
        for _ in range(_ATTEMPTS):
            crd = self._crd()
            if crd is None:
                return
            meta = crd["metadata"]
            left = [each for each in meta.get("finalizers") or () if each != status.FINALIZER]
            obj = {**crd, "metadata": {**meta, "finalizers": left}}
            if await self._written("PUT", CUSTOMRESOURCEDEFINITIONS.path("", self._name), obj):
                return

    async def _written(self, method: str, path: str, obj: Object) -> bool:
        """Write; False when somebody was faster."""
        try:
            await loopback.call(self._handler, method, path, obj)
        except StatusError as error:
            if error.code not in (404, 409):
                raise
            return error.code == 404
        return True

    async def _delete_objects(self) -> bool:
        """Delete all objects; whether they are gone in time."""
        collection, found = self._custom.collection(self._name), self._custom.found(self._name)
        if collection is None or found is None:
            return True
        scope = _scope(found.versions[found.storage_version], collection)
        for namespace in sorted({entry.head.metadata.namespace for entry in collection.entries.values()}):
            try:
                await self._delete_in(scope, namespace)
            except StatusError as error:
                text = f"could not issue all deletes: {error.message}"
                await self._say("True", "InstanceDeletionFailed", text)
                await self._ctx.clock.sleep(_PAUSE)
                return False
        return await self._emptied(collection)

    async def _delete_in(self, scope: Scope, namespace: str) -> None:
        resource = scope.resource
        path = resource.path(namespace)
        request = Request(method="DELETE", path=path, query={}, headers={}, body=b"", trusted=loopback.LOOPBACK)
        request.user = loopback.LOOPBACK
        request.resource = resource
        request.info = RequestInfo(
            verb="deletecollection",
            path=path,
            is_resource=True,
            group=resource.group,
            version=resource.version,
            namespace=namespace,
            resource=resource.plural,
        )
        await deleting.delete_collection(self._ctx, scope, request, PLAIN)

    async def _emptied(self, collection: Collection) -> bool:
        watcher = collection.watch(collection.prefix)
        try:
            async with asyncio.timeout(_PATIENCE):
                while collection.entries and not watcher.cut:
                    watcher.queue.clear()
                    await watcher.wait()
        except TimeoutError:
            return False
        finally:
            collection.unfollow(watcher)
        return not collection.entries


def _scope(resource: Resource, collection: Collection) -> Scope:
    """The objects as they are stored, whether that version is served or not."""
    return Scope(
        resource=resource,
        stored=resource,
        collection=collection,
        traits=traits.Traits(),
        getters=selecting.getters(()),
        transform=selectors.custom_transform(resource),
    )
