"""One client's HTTP/1.1 connection: requests in, answers out.

One request is answered at a time; pipelined ones wait in order. Streams (watches, logs) are sent in chunks with
back-pressure; an upgraded connection is handed over as a `RawStream`. What a client sends is buffered within limits
only: reading stops while too much waits, and `check` cuts who is too slow.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeAlias, cast

from knarr.component_base import http_gzip, logs
from knarr.component_base.http import Pieces, Request, Response, batches, framed
from knarr.component_base.http_body import close_iterator
from knarr.component_base.http_format import BODILESS, answer_head, identity, subject_uids
from knarr.component_base.http_incoming import BETWEEN, BODY, HEAD, Incoming, StreamsBody
from knarr.component_base.http_limits import (
    BODY_TIME,
    HEAD_TIME,
    HIGH_WATER,
    IDLE_TIME,
    LINGER,
    MAX_BODY,
    MAX_PIPELINED,
    PIECE,
    SLOW_CLIENT,
)
from knarr.component_base.http_repeats import LONGEST, Repeats
from knarr.component_base.http_upgraded import UpgradedStream
from knarr.component_base.tasks import Tasks

__all__ = ["MAX_BODY", "Connection", "Handler", "QuickHandler", "Serving", "StreamsBody"]

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
#: Gives the answer at once when no waiting is needed, else None: spares a task for cached reads.
QuickHandler: TypeAlias = Callable[[Request], Response | None]

#: Reasons why nothing is read for now.
_HOLD_BODY, _HOLD_QUEUE, _HOLD_OUTPUT, _HOLD_UPGRADE = 1, 2, 4, 8

_log = logs.get("http")


class Serving(Protocol):
    """What a connection needs of its server."""

    handler: Handler
    quick: QuickHandler | None
    streams_body: StreamsBody | None
    repeats: Repeats | None
    max_body: int
    max_connections: int
    tasks: Tasks
    connections: set[Connection]
    buffer: memoryview


class Connection(asyncio.BufferedProtocol):
    """One client connection.

    A buffered protocol, since for the other kind the TLS transports allocate 256 KiB a read: that costs more than
    everything else a small request does.
    """

    __slots__ = (
        "_answered",
        "_busy",
        "_can_write",
        "_closing",
        "_held",
        "_incoming",
        "_patient",
        "_queue",
        "_server",
        "_stalled",
        "_streaming",
        "_transport",
        "_unsent",
        "_upgrade_rest",
        "fingerprint",
        "issuer",
        "uids",
        "peer",
        "remote",
        "stream",
    )

    def __init__(self, server: Serving) -> None:
        self._server = server
        self._incoming = Incoming(self, server.max_body, server.streams_body)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[tuple[Request, bool]] = deque()
        self._busy = False
        #: The last request that was answered at once.
        self._answered: tuple[Request, Response] | None = None
        self._can_write: asyncio.Event | None = None
        #: Since when the client takes nothing (None: it does), and what it had not taken then.
        self._stalled: float | None = None
        self._unsent = 0
        #: What is sent may wait for its reader as long as it likes.
        self._patient = False
        #: The task that sends a stream.
        self._streaming: asyncio.Task[Any] | None = None
        self._upgrade_rest = bytearray()
        self._held = 0
        self._closing = False
        self.stream: UpgradedStream | None = None
        self.peer: tuple[str, tuple[str, ...]] | None = None
        self.fingerprint = ""
        self.issuer: tuple[tuple[tuple[str, str], ...], ...] = ()
        self.uids: tuple[str, ...] = ()
        self.remote = ""

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._transport = cast(asyncio.Transport, transport)
        server = self._server
        if len(server.connections) >= server.max_connections:
            _log.warning("too many connections: cut the newest", limit=server.max_connections)
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        peer = transport.get_extra_info("peercert")
        self.peer = identity(peer)
        if self.peer is not None:
            self.issuer = peer.get("issuer", ())
            self.uids = subject_uids(peer)
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self.fingerprint = hashlib.sha256(certificate).hexdigest()
        address = transport.get_extra_info("peername")
        self.remote = address[0] if isinstance(address, tuple) else ""
        self._incoming.since = asyncio.get_running_loop().time()
        server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what works for it ends."""
        self._server.connections.discard(self)
        self._transport = None
        self._queue.clear()
        if self._can_write is not None:
            self._can_write.set()
        if self.stream is not None:
            self.stream.feed(b"")
        if self._incoming.body_stream is not None:
            self._incoming.body_stream.fail()
        if self._streaming is not None:
            self._streaming.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport writes what comes in."""
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came in."""
        data = self._server.buffer[:nbytes]
        if self.stream is not None:
            self.stream.feed(bytes(data))
        elif self._incoming.deaf:
            return
        elif self._incoming.upgraded:
            self.keep_for_upgrade(bytes(data))
        elif self._server.repeats is None or nbytes > LONGEST or self._incoming.phase != BETWEEN or self.occupied():
            self._incoming.feed(data)
        else:
            self._feed_known(self._server.repeats, bytes(data))

    def _feed_known(self, repeats: Repeats, data: bytes) -> None:
        """Bytes with which a request begins, and which may have come before."""
        answer = repeats.answer(data, self.fingerprint)
        if answer is not None and self._transport is not None:
            self._transport.write(answer)
            self._incoming.since = asyncio.get_running_loop().time()
            return
        incoming, before = self._incoming, self._incoming.begun
        incoming.feed(data)
        answered, self._answered = self._answered, None
        alone = incoming.begun == before + 1 and incoming.phase == BETWEEN
        if answered is not None and alone and not (self._closing or incoming.deaf or incoming.upgraded):
            repeats.keep(data, self.fingerprint, *answered)

    def keep_for_upgrade(self, data: bytes) -> None:
        """Bytes behind a request for an upgrade wait for whoever takes it."""
        self._upgrade_rest += data
        if len(self._upgrade_rest) > HIGH_WATER:
            self._hold(_HOLD_UPGRADE, on=True)

    def pause_writing(self) -> None:
        """The client reads more slowly than we send."""
        self._can_write = asyncio.Event()
        self._stalled = asyncio.get_running_loop().time()
        self._unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        self._hold(_HOLD_OUTPUT, on=True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stalled = None
        if self._can_write is not None:
            self._can_write.set()
            self._can_write = None
        self._hold(_HOLD_OUTPUT, on=False)
        self._pump()

    def check(self, now: float) -> None:
        """Cut a client that is too slow, or that has been silent for too long; `now` is the loop's time."""
        if self._transport is None:
            return
        if self._stalled is not None and not self._patient:
            self._check_reader(now, self._stalled, self._transport)
        elif self._closing and now - self._incoming.since > SLOW_CLIENT:
            self.abort()
        elif not (self._busy or self._closing or self._incoming.upgraded):
            self._check_sender(now - self._incoming.since)

    def _check_reader(self, now: float, since: float, transport: asyncio.Transport) -> None:
        if now - since <= SLOW_CLIENT:
            return
        unsent = transport.get_write_buffer_size()
        if unsent > self._unsent - HIGH_WATER:
            _log.info("slow reader cut", remote=self.remote, unsent=unsent)
            self.abort()
        self._stalled, self._unsent = now, unsent

    def _check_sender(self, waited: float) -> None:
        if self._incoming.phase == BODY and waited > BODY_TIME:
            self.refuse(408, "Request Timeout")
        elif waited > (HEAD_TIME if self._incoming.phase == HEAD else IDLE_TIME):
            self._finish()

    # for what comes in

    def take(self, request: Request, *, keep: bool) -> None:
        """Answer a request, now or in turn."""
        if not self.occupied():
            self.serve(request, keep=keep)
            return
        self._queue.append((request, keep))
        if len(self._queue) >= MAX_PIPELINED:
            self._hold(_HOLD_QUEUE, on=True)

    def proceed(self) -> None:
        """Let the client send the body."""
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def hold_body(self, on: bool) -> None:  # noqa: FBT001 - the shape a body stream calls
        """Too much of a body waits for its reader; or no longer."""
        self._hold(_HOLD_BODY, on=on)

    def occupied(self) -> bool:
        """Whether a next request has to wait."""
        return self._busy or self._can_write is not None or bool(self._queue)

    def _hold(self, reason: int, *, on: bool) -> None:
        """Stop or go on reading: nothing is read while there is any reason to hold."""
        before = self._held
        self._held = before | reason if on else before & ~reason
        if self._transport is None or bool(before) == bool(self._held) or self.stream is not None:
            return
        if self._held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # answering

    def serve(self, request: Request, *, keep: bool) -> None:
        """Answer a request now."""
        self._busy = True
        quick = self._server.quick
        response = quick(request) if quick is not None else None
        if response is not None and not http_gzip.wanted(request, response):
            self._answered = (request, response)
            self._send(request, response, keep=keep)
            self._next(keep=keep)
            return
        self._server.tasks.start(self._answer(request, response, keep=keep), "http-request")

    async def _answer(self, request: Request, response: Response | None, *, keep: bool) -> None:
        try:
            keep = await self._respond(request, response or await self._server.handler(request), keep=keep)
        except BaseException:
            # Half an answer, or none: the client must not wait for the rest.
            self.abort()
            raise
        finally:
            self._streaming = None
        # What is left of a body that nobody wanted cannot be told from a next request: the connection ends.
        self._next(keep=keep and self._incoming.body_stream is None)
        self._pump()

    async def _respond(self, request: Request, response: Response, *, keep: bool) -> bool:
        """Send an answer; whether the connection goes on."""
        if response.upgrade is not None:
            await self._hand_over(response)
            return False
        if isinstance(response.body, bytes | Pieces):
            if http_gzip.wanted(request, response):
                response = await http_gzip.compress(response)
            keep = keep and self._incoming.body_stream is None
            self._send(request, response, keep=keep)
            return keep
        keep = keep and request.chunks
        return await self._send_stream(request, response, response.body, keep=keep) and keep

    def _next(self, *, keep: bool) -> None:
        """The request is answered."""
        self._busy = False
        if not keep or self._incoming.upgraded or (self._incoming.deaf and not self._queue):
            self._finish()
        elif self._incoming.phase == BETWEEN:
            self._incoming.since = asyncio.get_running_loop().time()

    def _pump(self) -> None:
        """Answer the requests that wait, as far as that goes at once."""
        while self._queue and not self._busy and self._can_write is None and not self._closing:
            request, keep = self._queue.popleft()
            self.serve(request, keep=keep)
        if len(self._queue) < MAX_PIPELINED:
            self._hold(_HOLD_QUEUE, on=False)

    def _send(self, request: Request, response: Response, *, keep: bool) -> None:
        if self._transport is None:
            return
        body = cast("bytes | Pieces", response.body)
        size = len(body)
        head = answer_head(response, None if response.status in BODILESS else size, keep=keep)
        if request.method == "HEAD" or response.status in BODILESS:
            self._transport.write(head)
        elif size <= PIECE:
            self._transport.write(head + bytes(body))
        else:
            parts = batches(body, PIECE)
            # What is written for itself is a record and a packet of its own.
            self._transport.write(head + next(parts))
            for part in parts:
                self._transport.write(part)

    async def _send_stream(
        self, request: Request, response: Response, body: AsyncIterator[bytes], *, keep: bool
    ) -> bool:
        """Send a body chunk by chunk; False when the client is gone or was cut."""
        if self._transport is None:
            await close_iterator(body)
            return False
        chunked = request.chunks and "Content-Length" not in response.headers and response.status not in BODILESS
        self._transport.write(answer_head(response, None, keep=keep, chunked=chunked))
        silent = request.method == "HEAD" or response.status in BODILESS
        self._streaming = asyncio.current_task()
        self._patient = response.patient
        if chunked and not silent and (relay := getattr(body, "relay", None)) is not None:
            relay(self)
        try:
            async for chunk in body:
                if self._transport is None:
                    return False
                if chunk and not silent:
                    self._transport.write(framed(chunk) if chunked else chunk)
                if self._can_write is not None and not await self._drained():
                    return False
        except ConnectionError as error:
            # The source broke in the middle of the body: the client must not take it for a whole one.
            _log.info("stream broken", path=request.path, error=error)
            self.abort()
            return False
        finally:
            self._streaming, self._patient = None, False
            await close_iterator(body)
        if self._transport is not None and chunked and not silent:
            self._transport.write(b"0\r\n\r\n")
        return True

    def ready(self) -> bool:
        """Whether a piece of a streamed body can be sent at once."""
        return self._can_write is None and self._transport is not None

    def send(self, data: bytes) -> None:
        """Send a piece of a streamed body, `framed`."""
        if self._transport is not None:
            self._transport.write(data)

    async def _drained(self) -> bool:
        if self._can_write is not None:
            await self._can_write.wait()
        return self._transport is not None

    async def _hand_over(self, response: Response) -> None:
        if response.upgrade is None:
            return
        self._patient = True
        self._hold(self._held, on=False)
        self.stream = UpgradedStream(self, bytes(self._upgrade_rest))
        self.stream.write(answer_head(response, None, keep=True))
        try:
            await response.upgrade(self.stream)
        except ConnectionError as error:
            _log.info("upgraded connection broken", error=error)

    def refuse(self, status: int, text: str) -> None:
        """Tell what is wrong, and close: after requests that wait, nothing can be told any more."""
        self._incoming.deaf = True
        if self._transport is None or self._closing:
            return
        if not self.occupied():
            content = f"{status} {text}".encode()
            response = Response(status, content, "text/plain; charset=utf-8")
            self._transport.write(answer_head(response, len(content), keep=False) + content)
            self._finish()

    def _finish(self) -> None:
        """Close when everything is sent; who is still sending gets a moment to read the answer."""
        if self._transport is None or self._closing:
            return
        self._closing = True
        loop = asyncio.get_running_loop()
        self._incoming.since = loop.time()
        if self._incoming.deaf:
            loop.call_later(LINGER, self._transport.close)
        else:
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
