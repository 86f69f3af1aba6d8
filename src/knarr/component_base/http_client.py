"""An HTTP/1.1 client for exchanges that stream: bodies as they come, upgraded connections as raw streams.

One connection an exchange. For the API's own verbs there is `client.http`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import httptools

#: Bytes of an answer's head that are accepted.
MAX_HEAD = 256 * 1024
CHUNK = 64 * 1024
#: Seconds until a connection must stand.
CONNECT_TIMEOUT = 10.0
_BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect. Without `tls` the connection is plain."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    #: Whose certificate is expected, where it is another name than the host.
    server_name: str = ""

    @property
    def authority(self) -> str:
        """`host:port` as URLs and the Host header write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to send. `target` is the escaped path with its query. `headers` needs no Host and no lengths.

    A `body` that is an iterator is sent in chunks, unless `length` (bytes) says how much it is.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | AsyncIterator[bytes] = b""
    length: int | None = None


class Connection:
    """A connection as a `RawStream`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
        self._reader = reader
        self._writer = writer
        self._first = first

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        try:
            return await self._reader.read(CHUNK)
        except OSError as error:
            raise ConnectionResetError(str(error)) from error

    async def read_head(self) -> bytes:
        """An answer's head with its closing blank line. Raises `ConnectionError`."""
        try:
            return await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("EOF") from error
        except (OSError, asyncio.LimitOverrunError) as error:
            raise ConnectionError(f"no HTTP answer: {error}") from error

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken enough to go on. Raises `ConnectionError`."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise ConnectionResetError(str(error)) from error

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()


Connect: TypeAlias = Callable[[Address], Awaitable[Connection]]


async def connect(address: Address) -> Connection:
    """A new connection. Raises `ConnectionError`, whatever went wrong: the text says what."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            name = address.server_name or None if address.tls is not None else None
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=address.tls, limit=MAX_HEAD, server_hostname=name
            )
    except TimeoutError as error:
        raise ConnectionError(f"dial tcp {address.authority}: i/o timeout") from error
    except OSError as error:
        raise ConnectionError(f"dial tcp {address.authority}: {dial_fault(error)}") from error
    return Connection(reader, writer)


def dial_fault(error: OSError) -> str:
    """Why a connection did not come about, worded as Go does: `connect: connection refused`."""
    if isinstance(error, ssl.SSLError) or error.errno is None or error.errno <= 0:
        return error.strerror or str(error)
    return f"connect: {os.strerror(error.errno).lower()}"


@dataclass(slots=True)
class Incoming:
    """An answer. Iterate for the body's chunks; `aclose` when done with it, however far it was read.

    Of an answer 101 there is no body: `connection` is the peer's raw stream from then on.
    """

    status: int
    headers: list[tuple[str, str]]
    connection: Connection
    _body: _Body | None = None
    names: dict[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """The first value of a header, `""` when absent. `name` in lower case."""
        return self.names.get(name, "")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._body.next() if self._body is not None else b""
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def read(self, limit: int) -> bytes:
        """The body up to `limit` bytes; then the connection is closed."""
        out = bytearray()
        try:
            async for chunk in self:
                out += chunk
                if len(out) >= limit:
                    break
        finally:
            await self.aclose()
        return bytes(out[:limit])

    async def aclose(self) -> None:
        """Close the connection. Safe to repeat."""
        if self.status == 101:
            self.connection.close()
        else:
            # There is nothing left to send: who is still sending need not be waited for.
            self.connection.abort()


async def send(address: Address, request: Outgoing, connect: Connect = connect) -> Incoming:
    """Send one request and wait for the answer's head. Raises `ConnectionError`."""
    connection = await connect(address)
    try:
        connection.write(_head(address, request))
        if isinstance(request.body, bytes):
            connection.write(request.body)
        else:
            await _send_pieces(connection, request.body, chunked=request.length is None)
        await connection.drain()
        return await _answer(connection, request.method)
    except BaseException:
        connection.abort()
        raise


def _head(address: Address, request: Outgoing) -> bytes:
    names = {name.lower() for name, _ in request.headers}
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {address.authority}")
    lines += [f"{name}: {value}" for name, value in request.headers]
    if not isinstance(request.body, bytes):
        sized = request.length is not None
        lines.append(f"Content-Length: {request.length}" if sized else "Transfer-Encoding: chunked")
    elif request.body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(request.body)}")
    if "connection" not in names:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def _send_pieces(connection: Connection, body: AsyncIterator[bytes], *, chunked: bool) -> None:
    async for piece in body:
        if piece:
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await connection.drain()
    if chunked:
        connection.write(b"0\r\n\r\n")


async def _answer(connection: Connection, method: str) -> Incoming:
    while True:
        head = await connection.read_head()
        parser = _Body(connection, method)
        status = parser.begin(head)
        if status == 101 or status >= 200:
            break
    names: dict[str, str] = {}
    for name, value in parser.headers:
        names.setdefault(name.lower(), value)
    body = None if status == 101 or status in _BODILESS or method == "HEAD" else parser
    return Incoming(status, parser.headers, connection, body, names)


class _Body:
    """Parses one answer: first its head, then its body as it comes in."""

    def __init__(self, connection: Connection, method: str) -> None:
        self.headers: list[tuple[str, str]] = []
        self._connection = connection
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._complete = False
        self._framed = False

    def begin(self, head: bytes) -> int:
        """Take the head; gives the status. Raises `ConnectionError`."""
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            return 101
        except httptools.HttpParserError as error:
            raise ConnectionError(f"malformed HTTP answer: {error}") from error
        return int(self._parser.get_status_code())

    async def next(self) -> bytes:
        """The next piece; empty at the end. Raises `ConnectionError` when the body is cut off."""
        while not self._chunks and not self._complete:
            data = await self._connection.read()
            if not data:
                if self._framed:
                    raise ConnectionError("unexpected EOF")
                self._complete = True
                break
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                raise ConnectionError(f"malformed HTTP body: {error}") from error
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1")
        self._framed |= key.lower() in ("content-length", "transfer-encoding")
        self.headers.append((key, value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        self._complete = True
