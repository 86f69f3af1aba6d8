"""The transport over the network: HTTP/1.1, TLS, a client certificate or a token, connections kept for reuse."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from time import perf_counter
from urllib.parse import quote, urlencode, urlsplit

from knarr.client.connection import Connection
from knarr.client.failure import failure
from knarr.client.lines import Lines
from knarr.client.metrics import NO_ANSWER, ClientMetrics
from knarr.client.transport import Answer
from knarr.component_base.http_client import dial_fault
from knarr.component_base.kubeconfig import Access

#: Seconds until a connection must stand.
CONNECT_TIMEOUT = 10.0
#: Seconds until the answer to a request must have come; a server ends what takes longer than 60 itself.
REQUEST_TIMEOUT = 75.0
#: Idle connections kept.
_MOST_IDLE = 32
#: What may be sent a second time when a kept connection turns out to be gone.
_REPEATABLE = frozenset({"GET", "HEAD"})
_SAFE = "/:@!$&'()*+,;=~"


class Stream:
    """An answer whose body is read as it comes: iterate for its chunks, `aclose` when done with it."""

    def __init__(self, status: int, connection: Connection) -> None:
        self.status = status
        #: Names in lower case.
        self.headers: Mapping[str, str] = connection.headers
        self._connection: Connection | None = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._connection.chunk() if self._connection is not None else b""
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def read(self) -> bytes:
        """The whole body. Raises `ConnectionError` when it is cut off."""
        try:
            return b"".join([chunk async for chunk in self])
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give the connection back, or cut it when the body was not read to its end. Safe to repeat."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.end()


class HttpTransport:
    """Reaches the API server that `access` names. `agent` is the User-Agent, after which managed fields are named.

    Requests are counted in `metrics`, which several transports may share.
    """

    def __init__(self, access: Access, agent: str = "knarr", metrics: ClientMetrics | None = None) -> None:
        self._agent = agent
        self.metrics = metrics or ClientMetrics()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closed = False
        self.renew(access)

    def renew(self, access: Access) -> None:
        """Use other credentials, or another server, from the next request on. Open watches keep their connection.

        Raises `ValueError` for an address or for certificates that are no use.
        """
        parts = urlsplit(access.server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{access.server!r} is no address of an API server: https://host:port")
        tls = tls_context(access) if parts.scheme == "https" else None
        self._host, self._port = parts.hostname, parts.port or (443 if tls else 80)
        self._tls, self._server_name = tls, access.server_name or parts.hostname
        self._prefix = parts.path.rstrip("/")
        self._fixed = _fixed_headers(parts.netloc, access.token, self._agent)
        for connection in list(self._idle):
            connection.close()
        self._idle.clear()

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request and wait for the whole answer. Raises `ConnectionError` when none came."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                stream = await self.stream(method, path, query, body, content_type)
                return Answer(stream.status, stream.headers, await stream.read())
        except TimeoutError as error:
            raise ConnectionError(f"{method} {path}: no answer within {REQUEST_TIMEOUT:.0f} s") from error

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The lines of a watch. Raises `StatusError` for an answer other than 200, `ConnectionError` when it breaks."""
        stream = await self.stream("GET", path, query)
        if stream.status != 200:
            raise failure(stream.status, await stream.read())
        lines = Lines()
        try:
            async for chunk in stream:
                for line in lines.feed(chunk):
                    yield line
        finally:
            await stream.aclose()

    async def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | Sequence[tuple[str, str]],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Stream:
        """Send one request and wait for the head of the answer only (logs). Raises `ConnectionError`."""
        data = self._encode(method, path, query, body, content_type)
        began, host = perf_counter(), f"{self._host}:{self._port}"
        try:
            stream = await self._sent(method, data)
        except (ConnectionError, asyncio.CancelledError):
            # Who waits no longer got no answer either.
            self.metrics.answered(method, host, NO_ANSWER, began)
            raise
        self.metrics.answered(method, host, str(stream.status), began)
        return stream

    async def _sent(self, method: str, data: bytes) -> Stream:
        while True:
            connection = await self._connection()
            reused = connection.exchanges > 0
            try:
                connection.send(data)
                status = await connection.head()
                return Stream(status, connection)
            except ConnectionError:
                # The server may close a kept connection at any time: that says nothing about the request.
                if not (reused and method in _REPEATABLE and not connection.answered):
                    raise
            except BaseException:
                connection.close()
                raise

    async def close(self) -> None:
        """Cut all connections."""
        self._closed = True
        for connection in list(self._open):
            connection.close()
        # Aborted transports report it in the loop's next turn.
        await asyncio.sleep(0)

    async def _connection(self) -> Connection:
        if self._closed:
            raise ConnectionError("the client is closed")
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return await self._connect()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        # What an earlier address or credential opened must not come back into use.
        tls = self._tls

        def idle(connection: Connection) -> None:
            if self._closed or tls is not self._tls or len(self._idle) >= _MOST_IDLE:
                connection.close()
            else:
                self._idle.append(connection)

        target = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, connection = await loop.create_connection(
                    lambda: Connection(idle, self._lost),
                    self._host,
                    self._port,
                    ssl=tls,
                    server_hostname=self._server_name if tls else None,
                )
        except TimeoutError as error:
            raise ConnectionError(f"dial tcp {target}: i/o timeout") from error
        except OSError as error:
            raise ConnectionError(f"dial tcp {target}: {dial_fault(error)}") from error
        self._open.add(connection)
        return connection

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    def _encode(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | Sequence[tuple[str, str]],
        body: bytes,
        content_type: str,
    ) -> bytes:
        target = self._prefix + quote(path, safe=_SAFE)
        if query:
            target = f"{target}?{urlencode(query)}"
        head = f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + self._fixed
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n".encode("latin-1")
        elif method in ("POST", "PUT", "PATCH"):
            head += b"Content-Length: 0\r\n"
        return head + b"\r\n" + body


def tls_context(access: Access) -> ssl.SSLContext:
    """TLS towards a server as `access` says. Raises `ValueError` for certificates that are no use."""
    context = ssl.create_default_context(cadata=access.authority.decode() or None)
    # Certificates of Kubernetes' own authorities need not carry what the strict flag asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.certificate:
        _load_pair(context, access.certificate, access.key)
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads key pairs from files only: hand them over in one that nobody else can open."""
    descriptor, path = tempfile.mkstemp(prefix="knarr-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate + b"\n" + key)
        context.load_cert_chain(path)
    except ssl.SSLError as error:
        raise ValueError(f"the client certificate and its key are no use: {error}") from error
    finally:
        os.unlink(path)


def _fixed_headers(netloc: str, token: str, agent: str) -> bytes:
    lines = [f"Host: {netloc}", f"User-Agent: {agent}", "Accept: application/json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
