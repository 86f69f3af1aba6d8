"""A whole API server in this process, and what must hold of each of its answers."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import orjson
from tests.fuzz import seeds

from knarr.apiserver import pipeline
from knarr.apiserver.server import ApiServer, ServerConfig, build
from knarr.component_base import certificates
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Pieces, Request, Response, UserInfo
from knarr.component_base.http_connection import Connection
from knarr.component_base.http_limits import READ
from knarr.component_base.http_server import HttpServer
from knarr.storage.memory import MemoryStore

T = TypeVar("T")
ADMIN = UserInfo("admin", ("system:masters", "system:authenticated"))
#: Seconds of this process's CPU that one request may take, whatever it asks for.
_LONGEST = 15.0
#: What a test waits for an answer that comes later.
_PATIENCE = 90.0


class Server:
    """One API server on a store in memory. Its requests are trusted: the fuzzers begin behind the door."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.bugs: list[str] = []
        self.store = MemoryStore()
        self.api: ApiServer = self.run(self._build())

    async def _build(self) -> ApiServer:
        with tempfile.TemporaryDirectory() as folder:
            key = certificates.signing_key(Path(folder))
        api = await build(ServerConfig([key], service_cidr="10.96.0.0/16"), self.store, RealClock())
        self.api = api
        for path, body in seeds.OBJECTS:
            answer = await self.ask(Request("POST", path, {}, {}, orjson.dumps(body)))
            assert answer.status == 201, (path, text_of(answer))
        return api

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's loop. A failure is told plainly: without what was being handled before."""
        failed = ""
        try:
            return self.runner.run(coroutine)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test has found
            failed = f"{type(error).__name__}: {error}"
        raise AssertionError(failed)

    async def ask(self, request: Request) -> Response:
        """The answer of a request, its first pieces read when it is a stream."""
        request.trusted = ADMIN
        response = self.api.quick(request) if request.method == "GET" else None
        if response is None:
            async with asyncio.timeout(_PATIENCE):
                response = await self.api.handler(request)
        if not isinstance(response.body, bytes | Pieces):
            body, taken = response.body, b""
            try:
                async with asyncio.timeout(0.02):
                    async for piece in body:
                        taken += piece
            except TimeoutError:
                pass
            finally:
                await body.aclose()  # type: ignore[attr-defined]
            response.body = taken
        return response

    async def check(self, request: Request) -> Response:
        """As `ask`; fails for whatever no client may bring about."""
        before, began, found = self.store._revision, time.process_time(), len(PANICS)
        response = await self.ask(request)
        told = f"{request.method} {request.path}?{request.raw_query[:500]} {request.headers} {request.body[:2000]!r}"
        assert len(PANICS) == found, f"{PANICS[found]} for {told}"
        assert time.process_time() - began < _LONGEST, f"too long: {told}"
        if response.status >= 400:
            status = _status_of(response)
            assert response.status < 500 or _may_fail(request, response), f"{response.status} {status} for {told}"
            assert self._unchanged(before), f"{response.status}, and yet something was written: {told}"
        return response

    def _unchanged(self, before: int) -> bool:
        """Whether nothing was written since a revision, other than by the server itself."""
        own = ("/registry/ipaddresses/", "/registry/flowschemas/", "/registry/leases/", "/registry/priority")
        late = [event for event in self.store._events if event.kv.mod_revision > before]
        return all(event.kv.key.startswith(own) for event in late)

    def connect(self) -> Wire:
        """A connection that speaks HTTP with this server."""
        return Wire(self)

    def close(self) -> None:
        """Stop; fails when anything is left running."""
        self.run(self.api.close())
        self.runner.close()


def _status_of(response: Response) -> str:
    text = text_of(response)
    if response.content_type == "application/json":
        status = orjson.loads(text)
        assert status["kind"] == "Status" and status["status"] == "Failure" and status["code"] == response.status, text
        return str(status.get("message"))
    return text


def _may_fail(request: Request, response: Response) -> bool:
    """Where the real server gives a 5xx too (see the answers recorded from it)."""
    message = text_of(response)
    if response.status == 504:
        return "Too large resource version" in message
    if response.status == 503:
        return "is not served: no connection" in message or "no endpoints available" in message
    if response.status == 502:
        return "error trying to reach" in message
    return response.status == 500 and any(part in message for part in KUBERNETES_500)


#: Texts of failures that Kubernetes, too, reports as internal errors.
KUBERNETES_500 = (
    "resourceVersion: Invalid value",
    "failed to create typed patch object",
    "failed to create manager for existing fields",
    "map does not contain declared merge key",
    "delete from primitive list",
    "$setElementOrder",
    "expected a []interface {}",
    "list element types are not identical",
    "no elements in any of the given slices",
    "$patch",
    "$retainKeys",
    "Invalid value",
    "Required value",
    "Unsupported value",
    "Forbidden",
    "This pod has more than one PodDisruptionBudget",
)
PANICS: list[str] = []


def _note(request: Request, error: Exception) -> Response:
    PANICS.append(f"{type(error).__name__}: {error}")
    return _panic(request, error)


_panic = pipeline._panic
pipeline._panic = _note


def text_of(response: Response) -> str:
    """An answer's body as text."""
    assert isinstance(response.body, bytes | Pieces)
    return bytes(response.body).decode("utf-8", "replace")


class Wire(asyncio.Transport):
    """The client's end of a connection in this process."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._http = HttpServer(self._handle(server), None)
        self._connection = Connection(self._http)
        self.received = b""
        self.closed = False
        self.requests = 0

    def _handle(self, server: Server) -> Any:
        async def handle(request: Request) -> Response:
            self.requests += 1
            request.headers.pop("authorization", None)
            if request.query.get("watch") or request.path.startswith("/api/v1/watch"):
                request.query["timeoutSeconds"] = "1"
            return await server.check(request)

        return handle

    async def send(self, data: bytes, cuts: list[int]) -> bytes:
        """Send bytes in pieces; what came back once nothing moves any more."""
        self._connection.connection_made(self)
        start = 0
        for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
            for at in range(start, end, READ):
                part = data[at : min(at + READ, end)]
                self._connection.get_buffer(-1)[: len(part)] = part
                self._connection.buffer_updated(len(part))
            start = end
            await asyncio.sleep(0)
        while tasks := list(self._http.tasks._tasks):
            done, _ = await asyncio.wait(tasks, timeout=_PATIENCE)
            assert done, "a request hangs"
            for task in done:
                assert task.cancelled() or task.exception() is None, task.exception()
        # Who is refused gets a moment before the connection closes.
        self.closed = self.closed or self._connection._closing
        self._connection.connection_lost(None)
        return self.received

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True
