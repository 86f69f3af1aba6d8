"""An HTTP/1.1 server over TLS or plain sockets: httptools parses, one `Handler` answers.

Streams (watches, logs) are sent in chunks with back-pressure; an upgraded connection is handed over as a
`RawStream`. One request of a connection is answered at a time; pipelined ones wait in order.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

import httptools

from knarr.component_base import logs
from knarr.component_base.http import Pieces, Request, Response
from knarr.component_base.http_body import BodyStream
from knarr.component_base.http_format import BODILESS, answer_head, identity, parse_query
from knarr.component_base.tasks import Tasks

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
#: Gives the answer at once when no waiting is needed, else None: spares a task for cached reads.
QuickHandler: TypeAlias = Callable[[Request], Response | None]

#: Tells, by method and path, whether a request's body is handed over as it comes in (`Request.stream`).
StreamsBody: TypeAlias = Callable[[str, str], bool]

#: Bytes of a body and of a request's head that are accepted (Kubernetes' limits).
MAX_BODY = 3 * 1024 * 1024
MAX_HEAD = 1024 * 1024
#: Seconds a stream's reader may leave its buffer full before the connection is cut.
SLOW_CLIENT = 60.0
#: Bytes buffered for one connection before writers wait.
HIGH_WATER = 256 * 1024
#: Bytes of a body that are written at once: what TLS makes of one piece is sent before the next is encrypted, so
#: that a large answer's ciphertext never lies in memory as a whole.
_PIECE = 64 * 1024
#: Bytes read at once.
_READ = 64 * 1024

_log = logs.get("http")


class HttpServer:
    """Serves one handler on any number of listening sockets."""

    def __init__(
        self,
        handler: Handler,
        tls: ssl.SSLContext | None,
        quick: QuickHandler | None = None,
        max_body: int = MAX_BODY,
        streams_body: StreamsBody | None = None,
    ) -> None:
        self.handler = handler
        self.quick = quick
        self.streams_body = streams_body
        self.max_body = max_body
        self.tasks = Tasks()
        self.connections: set[_Connection] = set()
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        #: What the transports read into. All connections share it: what was read is parsed or copied at once.
        self.buffer = memoryview(bytearray(_READ))

    async def listen(self, host: str, port: int) -> int:
        """Listen on an address; gives the port (0 asks for a free one)."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), host, port, ssl=self._tls, backlog=1024)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_socket(self, sock: Any) -> None:
        """Listen on a socket that was opened elsewhere (handed over by the process that started this one)."""
        loop = asyncio.get_running_loop()
        self._servers.append(
            await loop.create_server(lambda: _Connection(self), sock=sock, ssl=self._tls, backlog=1024)
        )

    async def close(self) -> None:
        """Stop listening, end running requests, close all connections."""
        for server in self._servers:
            server.close()
        await self.tasks.close()
        for connection in list(self.connections):
            connection.abort()


class _Connection(asyncio.BufferedProtocol):
    """One client connection.

    A buffered protocol, since for the other kind the TLS transports allocate 256 KiB a read: that costs more than
    everything else a small request does.
    """

    __slots__ = (
        "_body",
        "_body_stream",
        "_busy",
        "_can_write",
        "_head_size",
        "_headers",
        "_parser",
        "_queue",
        "_repeated",
        "_server",
        "_size",
        "_transport",
        "_upgrade_rest",
        "_upgraded",
        "_url",
        "fingerprint",
        "peer",
        "remote",
        "stream",
    )

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._body_stream: BodyStream | None = None
        self._can_write: asyncio.Event | None = None
        self._upgraded = False
        self._upgrade_rest = b""
        self.stream: _Stream | None = None
        self.peer: tuple[str, tuple[str, ...]] | None = None
        self.fingerprint = ""
        self.remote = ""
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._repeated: dict[str, list[str]] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._head_size = 0

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self.peer = identity(transport.get_extra_info("peercert"))
        if self.peer is not None:
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self.fingerprint = hashlib.sha256(certificate).hexdigest()
        address = transport.get_extra_info("peername")
        self.remote = address[0] if isinstance(address, tuple) else ""
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._transport = None
        self._queue.clear()
        if self._can_write is not None:
            self._can_write.set()
        if self.stream is not None:
            self.stream.feed(b"")
        if self._body_stream is not None:
            self._body_stream.fail()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self._server.buffer[:nbytes]
        if self.stream is not None:
            self.stream.feed(bytes(data))
            return
        if self._upgraded:
            self._upgrade_rest += data
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded = True
            self._upgrade_rest = bytes(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, b"Bad Request")

    def pause_writing(self) -> None:
        self._can_write = asyncio.Event()

    def resume_writing(self) -> None:
        if self._can_write is not None:
            self._can_write.set()
            self._can_write = None

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._begin()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value))
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        known = self._headers.get(key)
        if known is None:
            self._headers[key] = text
            return
        self._repeated.setdefault(key, [known]).append(text)
        self._headers[key] = f"{known}, {text}"

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._server.streams_body is not None and not self._busy and self._has_body():
            request = self._request()
            if self._server.streams_body(request.method, request.path):
                request.stream = self._body_stream = BodyStream(self._hold)
                self._serve(request, keep=bool(self._parser.should_keep_alive()))

    def on_body(self, body: bytes) -> None:
        if self._body_stream is not None:
            self._body_stream.feed(body)
            return
        self._size += len(body)
        # What passes the limit is counted and dropped: the handler answers 413 once the message is complete.
        if self._size <= self._server.max_body:
            self._body.append(body)
        else:
            self._body.clear()

    def on_message_complete(self) -> None:
        if self._body_stream is not None:
            self._body_stream.finish()
            self._body_stream = None
            return
        request = self._request()
        keep = bool(self._parser.should_keep_alive())
        if self._busy:
            self._queue.append((request, keep))
        else:
            self._serve(request, keep=keep)

    def _has_body(self) -> bool:
        """Whether a body follows. An upgrade's bytes are no body."""
        length = self._headers.get("content-length", "0")
        return (length != "0" or "transfer-encoding" in self._headers) and "upgrade" not in self._headers

    def _hold(self, hold: bool) -> None:  # noqa: FBT001 - the shape a body stream calls
        if self._transport is None:
            return
        if hold:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _request(self) -> Request:
        path, _, raw_query = self._url.partition(b"?")
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=unquote(path.decode("latin-1")),
            query={},
            headers=self._headers,
            body=b"".join(self._body) if len(self._body) != 1 else self._body[0],
            repeated=self._repeated,
            raw_query=raw_query.decode("latin-1"),
            peer=self.peer,
            peer_fingerprint=self.fingerprint,
            remote=self.remote,
        )
        request.oversized = self._size > self._server.max_body
        if raw_query:
            parse_query(request)
        return request

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            self._refuse(431, b"Request Header Fields Too Large")

    # answering

    def _serve(self, request: Request, *, keep: bool) -> None:
        self._busy = True
        quick = self._server.quick
        response = quick(request) if quick is not None else None
        if response is not None:
            self._send(request, response, keep=keep)
            self._next(keep=keep)
            return
        self._server.tasks.start(self._answer(request, keep=keep), "http-request")

    async def _answer(self, request: Request, *, keep: bool) -> None:
        response = await self._server.handler(request)
        if response.upgrade is not None:
            await self._hand_over(response)
            return
        if isinstance(response.body, bytes | Pieces):
            keep = keep and self._body_stream is None
            self._send(request, response, keep=keep)
        else:
            keep = await self._send_stream(request, response, response.body) and keep
        # What is left of a body that nobody wanted cannot be told from a next request: the connection ends.
        self._next(keep=keep and self._body_stream is None)

    def _next(self, *, keep: bool) -> None:
        self._busy = False
        if not keep or self._upgraded:
            self._finish()
        elif self._queue and self._transport is not None:
            request, keep = self._queue.popleft()
            self._serve(request, keep=keep)

    def _send(self, request: Request, response: Response, *, keep: bool) -> None:
        if self._transport is None:
            return
        body = cast("bytes | Pieces", response.body)
        size = len(body)
        head = answer_head(response, None if response.status in BODILESS else size, keep=keep)
        if request.method == "HEAD" or response.status in BODILESS:
            self._transport.write(head)
        elif size <= _PIECE:
            self._transport.write(head + bytes(body))
        else:
            self._transport.write(head)
            for part in _sliced(body) if isinstance(body, bytes) else body.batches(_PIECE):
                self._transport.write(part)

    async def _send_stream(self, request: Request, response: Response, body: AsyncIterator[bytes]) -> bool:
        """Send a body chunk by chunk; False when the client is gone or was cut."""
        if self._transport is None:
            await _close_iterator(body)
            return False
        sized = "Content-Length" in response.headers
        chunked = not sized and response.status not in BODILESS
        self._transport.write(answer_head(response, None, keep=True, chunked=chunked))
        silent = request.method == "HEAD" or response.status in BODILESS
        try:
            async for chunk in body:
                if self._transport is None:
                    return False
                if chunk and not silent:
                    self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                if self._can_write is not None and not await self._drained():
                    return False
        except ConnectionError as error:
            # The source broke in the middle of the body: the client must not take it for a whole one.
            _log.info("stream broken", path=request.path, error=error)
            self.abort()
            return False
        finally:
            await _close_iterator(body)
        if self._transport is not None and chunked and not silent:
            self._transport.write(b"0\r\n\r\n")
        return True

    async def _drained(self) -> bool:
        waiting = self._can_write
        if waiting is not None:
            try:
                await asyncio.wait_for(waiting.wait(), SLOW_CLIENT)
            except TimeoutError:
                self.abort()
        return self._transport is not None

    async def _hand_over(self, response: Response) -> None:
        if response.upgrade is None:
            return
        self.stream = _Stream(self, self._upgrade_rest)
        self.stream.write(answer_head(response, None, keep=True))
        try:
            await response.upgrade(self.stream)
        except ConnectionError as error:
            _log.info("upgraded connection broken", error=error)
        finally:
            self._finish()

    def _refuse(self, status: int, text: bytes) -> None:
        if self._transport is not None:
            response = Response(status, text, "text/plain; charset=utf-8")
            self._transport.write(answer_head(response, len(text), keep=False) + text)
            self._finish()

    def _finish(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # for the stream

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport while the connection lives."""
        return self._transport

    async def drain(self) -> None:
        """Wait until the write buffer has room. Raises `ConnectionResetError` when the peer is gone."""
        if self._can_write is not None:
            await self._drained()
        if self._transport is None:
            raise ConnectionResetError("the peer closed the connection")


class _Stream:
    """The `RawStream` of an upgraded connection."""

    def __init__(self, connection: _Connection, first: bytes) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque([first] if first else [])
        self._size = len(first)
        self._ended = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        if data:
            self._chunks.append(data)
            self._size += len(data)
            transport = self._connection.transport
            if self._size > HIGH_WATER and not self._paused and transport is not None:
                transport.pause_reading()
                self._paused = True
        else:
            self._ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        while not self._chunks:
            if self._ended or self._connection.transport is None:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._chunks.popleft()
        self._size -= len(data)
        transport = self._connection.transport
        if self._paused and self._size < HIGH_WATER // 2 and transport is not None:
            self._paused = False
            transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        if self._connection.transport is not None:
            self._connection.transport.write(data)

    async def drain(self) -> None:
        await self._connection.drain()

    def close(self) -> None:
        if self._connection.transport is not None:
            self._connection.transport.close()


def _sliced(body: bytes) -> Iterator[memoryview]:
    rest = memoryview(body)
    return (rest[start : start + _PIECE] for start in range(0, len(rest), _PIECE))


async def _close_iterator(body: AsyncIterator[bytes]) -> None:
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
