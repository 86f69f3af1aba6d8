"""An API server in memory: enough of GET, LIST, WATCH and token requests for the node's readers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest

from knarr.apimachinery.errors import StatusError, not_found
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.transport import Answer


class FakeServer:
    """`client.transport.Transport` over a dict of objects by path. `refuse` errors are raised once each."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        self.bodies: list[Any] = []
        self.posts: dict[str, Any] = {}
        self.refuse: list[Exception] = []
        self._versions = itertools.count(1)
        self._watchers: list[tuple[str, str, asyncio.Queue[bytes | Exception | None]]] = []

    @property
    def client(self) -> Client:
        return Client(self)

    @property
    def watches(self) -> int:
        return len(self._watchers)

    def put(self, path: str, obj: Object) -> None:
        """Create or replace the object at `/api/v1/namespaces/…/name`."""
        kind = "MODIFIED" if path in self.objects else "ADDED"
        collection, _, name = path.rpartition("/")
        meta = {"uid": f"uid-{name}", **obj.get("metadata", {}), "name": name}
        self.objects[path] = {**obj, "metadata": {**meta, "resourceVersion": str(next(self._versions))}}
        self._tell(kind, collection, name, self.objects[path])

    def delete(self, path: str) -> None:
        obj = self.objects.pop(path)
        collection, _, name = path.rpartition("/")
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell("DELETED", collection, name, obj)

    def break_watches(self, error: Exception | None) -> None:
        for _, _, queue in self._watchers:
            queue.put_nowait(error)

    def _tell(self, kind: str, collection: str, name: str, obj: Object) -> None:
        for where, selector, queue in self._watchers:
            if where == collection and selector in ("", f"metadata.name={name}"):
                queue.put_nowait(orjson.dumps({"type": kind, "object": obj}))

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        self.requests.append((method, path, query))
        if self.refuse:
            error = self.refuse.pop(0)
            if isinstance(error, StatusError):
                return Answer(error.code, {}, orjson.dumps(error.status()))
            raise error
        if method == "POST":
            self.bodies.append(orjson.loads(body))
            answer = self.posts[path]
            return Answer(201, {}, orjson.dumps(answer(self.bodies[-1]) if callable(answer) else answer))
        if path in self.objects:
            return Answer(200, {}, orjson.dumps(self.objects[path]))
        if path.rsplit("/", 1)[-1] not in ("configmaps", "secrets"):
            failure = not_found("things", "", path.rsplit("/", 1)[-1])
            return Answer(404, {}, orjson.dumps(failure.status()))
        name = query.get("fieldSelector", "").removeprefix("metadata.name=")
        items = [self.objects[f"{path}/{name}"]] if f"{path}/{name}" in self.objects else []
        meta = {"resourceVersion": str(next(self._versions))}
        return Answer(200, {}, orjson.dumps({"metadata": meta, "items": items}))

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        entry = (path, query.get("fieldSelector", ""), queue)
        self._watchers.append(entry)
        name = entry[1].removeprefix("metadata.name=")
        current = self.objects.get(f"{path}/{name}")
        if current is not None and int(current["metadata"]["resourceVersion"]) > int(query["resourceVersion"]):
            queue.put_nowait(orjson.dumps({"type": "MODIFIED", "object": current}))
        try:
            while (line := await queue.get()) is not None:
                if isinstance(line, Exception):
                    raise line
                yield line
        finally:
            self._watchers.remove(entry)

    async def close(self) -> None:
        pass


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()
