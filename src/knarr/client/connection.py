"""One HTTP/1.1 connection of a client: sends a request, parses the answer as it comes in."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools

#: Bytes of a body that wait to be read before the peer has to wait.
HIGH_WATER = 1024 * 1024
#: Seconds of silence after which the peer is probed, seconds between probes, and how many may fail.
_KEEPALIVE = (30, 10, 3)


class Connection(asyncio.Protocol):
    """One connection, on which one exchange runs at a time.

    `on_idle` is called when an exchange has ended and another may follow, `on_lost` when the connection is gone.
    """

    def __init__(self, on_idle: Callable[[Connection], None], on_lost: Callable[[Connection], None]) -> None:
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._failure: str = ""
        #: How many exchanges have begun.
        self.exchanges = 0
        self._begin()
        self._busy = False

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._head_done = False
        self._complete = False
        self._keep = False
        #: Whether any byte of the answer has come.
        self.answered = False
        self.headers: dict[str, str] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._busy = True

    # for the pool

    @property
    def usable(self) -> bool:
        """Whether another exchange may begin."""
        return self._transport is not None and not self._transport.is_closing() and not self._busy

    def send(self, data: bytes) -> None:
        """Begin an exchange with a whole request. Raises `ConnectionError` when the connection is gone."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError(self._failure or "connection lost")
        self._begin()
        self.exchanges += 1
        self._transport.write(data)

    async def head(self) -> int:
        """Wait for the head of the answer; gives the status. Raises `ConnectionError`."""
        while not self._head_done:
            self._raise_if_gone()
            await self._wait()
        return int(self._parser.get_status_code())

    async def chunk(self) -> bytes:
        """The next piece of the body; empty at its end. Raises `ConnectionError` for a body that is cut off."""
        while not self._chunks:
            if self._complete:
                return b""
            self._raise_if_gone()
            await self._wait()
        data = self._chunks.popleft()
        self._size -= len(data)
        if self._paused and self._size < HIGH_WATER // 2 and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def end(self) -> None:
        """Say that the exchange is over: a connection whose answer was not read to its end is cut."""
        if self._busy and self._keep and not self._chunks and self._transport is not None:
            self._busy = False
            self._on_idle(self)
        else:
            self.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._busy = False
        sock = transport.get_extra_info("socket")
        if sock is not None:
            _keep_alive(sock)

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self.answered = True
        if not self._busy:
            self._fail("the server sent what nobody asked for")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the server upgraded a connection that did not ask for it")
        except httptools.HttpParserError as error:
            self._fail(f"malformed HTTP answer: {error}")
        self._wake()

    def eof_received(self) -> bool:
        """The peer says no more; a body without a length ends here."""
        if self._head_done and not {"content-length", "transfer-encoding"} & self.headers.keys():
            self._complete = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._transport = None
        self._failure = self._failure or (str(exc) if exc is not None else "the server closed the connection")
        self._wake()
        self._on_lost(self)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; the first of a name counts."""
        self.headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """The head is there; one of an interim answer is forgotten."""
        if self._parser.get_status_code() < 200:
            self.headers = {}
        else:
            self._head_done = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body; too many unread ones make the peer wait."""
        self._chunks.append(body)
        self._size += len(body)
        if self._size > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The answer has ended."""
        if self._head_done:
            self._complete = True
            # The parser knows it only here.
            self._keep = bool(self._parser.should_keep_alive())

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self.close()

    def _raise_if_gone(self) -> None:
        if self._transport is None:
            raise ConnectionError(self._failure)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _keep_alive(sock: socket.socket) -> None:
    """Have the kernel find out that a peer is gone: a watch may be silent for long."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    idle, interval, count = _KEEPALIVE
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, (idle + interval * count) * 1000)
