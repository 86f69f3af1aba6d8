"""The client every component speaks through: Kubernetes' verbs over a `Transport`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

import orjson

from knarr.api.resources import Resource
from knarr.apimachinery.errors import from_status
from knarr.apimachinery.types import Object
from knarr.client.failure import failure
from knarr.client.transport import Answer, Transport

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class WatchEvent(NamedTuple):
    """One event of a watch: `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`, and the object."""

    type: str
    object: Object


class Client:
    """Typed verbs. Every method raises `StatusError` for a failure the server reports."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def get(self, resource: Resource, name: str, namespace: str = "", *, subresource: str = "") -> Object:
        """Read one object."""
        return await self._call("GET", resource.path(namespace, name, subresource))

    async def list(self, resource: Resource, namespace: str = "", **options: str) -> Object:
        """Read a collection: the `…List` object. Options are query parameters (`labelSelector`, `limit`, …)."""
        return await self._call("GET", resource.path(namespace), options)

    async def document(self, path: str, **options: str) -> Object:
        """What stands under a path: OpenAPI, discovery, resources of other servers. Options are query parameters."""
        return await self._call("GET", path, options)

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str = "",
        *,
        name: str = "",
        subresource: str = "",
        **options: str,
    ) -> Object:
        """Create an object, or post to a subresource of `name` (`binding`, `eviction`, `token`)."""
        return await self._call("POST", resource.path(namespace, name, subresource), options, orjson.dumps(obj))

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "", **options: str) -> Object:
        """Replace an object (or its `status`); its resourceVersion, if set, must be the current one."""
        meta = obj["metadata"]
        path = resource.path(meta.get("namespace", ""), meta["name"], subresource)
        return await self._call("PUT", path, options, orjson.dumps(obj))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        content_type: str = STRATEGIC_MERGE_PATCH,
        subresource: str = "",
        **options: str,
    ) -> Object:
        """Patch an object."""
        path = resource.path(namespace, name, subresource)
        return await self._call("PATCH", path, options, orjson.dumps(patch), content_type)

    async def delete(self, resource: Resource, name: str, namespace: str = "", options: Object | None = None) -> Object:
        """Delete an object; `options` is a `DeleteOptions` body."""
        body = orjson.dumps(options) if options else b""
        return await self._call("DELETE", resource.path(namespace, name), {}, body)

    async def delete_collection(self, resource: Resource, namespace: str = "", **options: str) -> Object:
        """Delete all objects of a collection that the options (`labelSelector`, `fieldSelector`, …) choose."""
        return await self._call("DELETE", resource.path(namespace), options)

    async def watch(self, resource: Resource, namespace: str = "", **options: str) -> AsyncGenerator[WatchEvent, None]:
        """Watch a collection. Options are query parameters. An ERROR event is raised as `StatusError`.

        Close the generator (`contextlib.aclosing`) when leaving it early: that ends the request.
        """
        lines = self.transport.watch(resource.path(namespace), {"watch": "1", **options})
        try:
            async for line in lines:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise from_status(event["object"])
                yield WatchEvent(event["type"], event["object"])
        finally:
            close = getattr(lines, "aclose", None)
            if close is not None:
                await close()

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Object:
        answer = await self.transport.request(method, path, query or {}, body, content_type)
        return _decode(answer)

    async def close(self) -> None:
        """Close the transport."""
        await self.transport.close()


def _decode(answer: Answer) -> Object:
    """The body of a success; a failure is raised."""
    if answer.status >= 400:
        raise failure(answer.status, answer.body)
    decoded: Object = orjson.loads(answer.body) if answer.body else {}
    return decoded
