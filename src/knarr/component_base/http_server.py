"""An HTTP/1.1 server over TLS or plain sockets: httptools parses, one `Handler` answers.

What one connection does stands in `http_connection`; this is the listening, the limits and the sweeping.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
from typing import Any

from knarr.component_base.http_connection import (
    MAX_BODY,
    Connection,
    Handler,
    QuickHandler,
    StreamsBody,
)
from knarr.component_base.http_limits import READ, SWEEP
from knarr.component_base.http_repeats import RepeatOf, Repeats
from knarr.component_base.tasks import Tasks
from knarr.component_base.tls_transport import Shared, TlsTransport

#: File descriptors that are left for everything that is no client's connection.
_RESERVED_FILES = 256

__all__ = ["MAX_BODY", "Handler", "HttpServer", "QuickHandler", "StreamsBody"]


class HttpServer:
    """Serves one handler on any number of listening sockets."""

    def __init__(
        self,
        handler: Handler,
        tls: ssl.SSLContext | None,
        quick: QuickHandler | None = None,
        max_body: int = MAX_BODY,
        streams_body: StreamsBody | None = None,
        repeat: RepeatOf | None = None,
    ) -> None:
        self.handler = handler
        self.quick = quick
        self.streams_body = streams_body
        self.repeats = Repeats(repeat) if repeat is not None else None
        self.max_body = max_body
        #: Connections at once; one more is cut as it comes.
        self.max_connections = _files()
        self.tasks = Tasks()
        self.connections: set[Connection] = set()
        #: What the transports read into. All connections share it: what was read is parsed or copied at once.
        self.buffer = memoryview(bytearray(READ))
        self._tls = Shared(tls) if tls is not None else None
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int) -> int:
        """Listen on an address; gives the port (0 asks for a free one)."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, host, port, backlog=1024)
        self._serve(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_socket(self, sock: Any) -> None:
        """Listen on a socket that was opened elsewhere (handed over by the process that started this one)."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, sock=sock, backlog=1024)
        self._serve(server)

    def _connection(self) -> asyncio.BaseProtocol:
        connection = Connection(self)
        return connection if self._tls is None else TlsTransport(self._tls, connection)

    def _serve(self, server: asyncio.Server) -> None:
        if not self._servers:
            self.tasks.start(self._sweep(), "http-sweep")
        self._servers.append(server)

    async def _sweep(self) -> None:
        """Look at each connection now and then: one sweep costs less than a timer for each request."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP)
            now = loop.time()
            for connection in list(self.connections):
                connection.check(now)

    async def close(self) -> None:
        """Stop listening, end running requests, close all connections."""
        for server in self._servers:
            server.close()
        await self.tasks.close()
        coming = self._tls.handshakes if self._tls is not None else ()
        for connection in (*self.connections, *coming):
            connection.abort()


def _files() -> int:
    """How many connections the process may have open, its soft limit raised as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(soft - _RESERVED_FILES, 64)
