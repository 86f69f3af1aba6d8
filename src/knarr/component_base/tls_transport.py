"""TLS for the connections of a server, between a plain transport and a protocol.

The loops' own TLS keeps buffers for every connection (256 KiB), reads until OpenSSL raises that there is nothing more,
and passes everything on through a dozen steps. Here all connections of a server share what is in use for the length of
one call only (`Shared`): bytes that came in, and records that are to go out.

Invariant: between two calls nothing lies in `Shared`. OpenSSL has taken what came in, as far as it goes, and keeps the
beginning of an incomplete record itself; what has to wait since its reader wants a rest, the connection keeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any, cast

from knarr.component_base import logs
from knarr.component_base.http_limits import HANDSHAKE, READ, SLOW_CLIENT

_log = logs.get("tls")

#: What who speaks plain HTTP to the port is told, as Go's servers tell it.
_PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class Shared:
    """What the connections of one server share. All of them live on one event loop."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        #: What the plain transports read into.
        self.buffer = memoryview(bytearray(READ))
        #: Connections that are not ready yet.
        self.handshakes: set[TlsTransport] = set()


class TlsTransport(asyncio.BufferedProtocol, asyncio.Transport):
    """One connection's TLS, as its server: the plain transport's protocol, and the transport of `protocol`.

    `protocol` hears of the connection when the handshake is done, and has to have room for a whole record (16 KiB).
    """

    __slots__ = ("_held", "_lower", "_open", "_protocol", "_rest", "_shared", "_timer", "_tls")

    _lower: asyncio.Transport

    def __init__(self, shared: Shared, protocol: asyncio.BufferedProtocol) -> None:
        super().__init__()
        self._shared = shared
        self._protocol = protocol
        self._tls = shared.context.wrap_bio(shared.incoming, shared.outgoing, server_side=True)
        #: Between the handshake and `close`.
        self._open = False
        #: Nothing is passed on for now; what came in meanwhile.
        self._held = False
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None

    # the plain transport's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        self._lower = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE, self._lower.abort)
        self._shared.handshakes.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._open = False
        self._stop_timer()
        if self in self._shared.handshakes:
            self._shared.handshakes.discard(self)
        else:
            self._protocol.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the plain transport writes what comes in."""
        return self._shared.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came in."""
        shared = self._shared
        shared.incoming.write(shared.buffer[:nbytes])
        self._take_in()

    def eof_received(self) -> None:
        """The client has closed: it is not answered any more either."""
        self._open = False

    def pause_writing(self) -> None:
        """The client reads more slowly than we send."""
        if self._open:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._open:
            self._protocol.resume_writing()

    # TLS

    def _take_in(self) -> None:
        """Read what has come in."""
        shared = self._shared
        try:
            if self in shared.handshakes:
                self._shake_hands()
            if self._open:
                self._receive(shared.incoming)
            elif self not in shared.handshakes:
                self._await_farewell(shared.incoming)
        finally:
            if shared.incoming.pending:
                rest = shared.incoming.read()
                self._rest = self._rest + rest if self._open else b""
        if shared.outgoing.pending:
            # Answers of TLS' own.
            self._flush()

    def _receive(self, incoming: ssl.MemoryBIO) -> None:
        """Pass on what came in, record by record."""
        protocol = self._protocol
        while incoming.pending and not self._held:
            try:
                count: Any = self._tls.read(READ, protocol.get_buffer(READ))
            except ssl.SSLWantReadError:
                return
            except ssl.SSLError as error:
                self._fail(error)
                return
            if not count:
                self._hear_farewell()
                return
            protocol.buffer_updated(count)

    def _hear_farewell(self) -> None:
        """The client has said that it sends no more: it is not answered any more either."""
        self.close()
        self._lower.close()

    def _await_farewell(self, incoming: ssl.MemoryBIO) -> None:
        """Look for the client's farewell behind what it still sends."""
        try:
            while incoming.pending and not self._lower.is_closing():
                if not self._tls.read(READ):
                    self._lower.close()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError:
            self._lower.abort()

    def _go_on(self) -> None:
        """Pass on what had to wait."""
        rest, self._rest = self._rest, b""
        if rest:
            self._shared.incoming.write(rest)
            self._take_in()
        if self._open and not self._held:
            self._lower.resume_reading()

    def _shake_hands(self) -> None:
        """Go on with the handshake."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self._refuse(error)
            return
        self._flush()
        self._shared.handshakes.discard(self)
        self._stop_timer()
        self._open = True
        self._protocol.connection_made(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: ssl.SSLError) -> None:
        """End a handshake that failed. OpenSSL has written to the client why."""
        peer = self._lower.get_extra_info("peername")
        remote = peer[0] if isinstance(peer, tuple) else ""
        _log.info("TLS handshake failed", remote=remote, error=error.reason or error)
        if error.reason == "HTTP_REQUEST":
            self._shared.outgoing.read()
            self._lower.write(_PLAIN_HTTP)
        else:
            self._flush()
        self._lower.close()

    def _fail(self, error: ssl.SSLError) -> None:
        _log.info("TLS connection broken", error=error.reason or error)
        self._flush()
        self.abort()

    def _flush(self) -> None:
        data = self._shared.outgoing.read()
        if data and not self._lower.is_closing():
            self._lower.write(data)

    # the protocol's transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, at once where the client takes them."""
        if not self._open or not data:
            return
        # Into memory goes all of it.
        self._tls.write(data)
        self._lower.write(self._shared.outgoing.read())

    def close(self) -> None:
        """Say that nothing more comes. The client closes: if we did while it still sends, it could lose the end."""
        if not self._open:
            return
        self._open, self._held = False, True
        incoming = self._shared.incoming
        # OpenSSL looks for the client's farewell, too: not in what this connection, or another, is about to read.
        unread = incoming.read()
        with contextlib.suppress(ssl.SSLError):
            # It has not come yet, and need not.
            self._tls.unwrap()
        incoming.write(unread)
        self._flush()
        if self._lower.is_closing():
            return
        self._lower.resume_reading()
        self._timer = asyncio.get_running_loop().call_later(SLOW_CLIENT, self._lower.abort)

    def abort(self) -> None:
        """Cut the connection."""
        self._open, self._held = False, True
        self._lower.abort()

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return not self._open

    def pause_reading(self) -> None:
        """Pass nothing on for now."""
        self._held = True
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Pass on again."""
        self._held = False
        if self._rest:
            # Later: whoever calls this may be in the middle of what came before.
            asyncio.get_running_loop().call_soon(self._go_on)
        elif self._open:
            self._lower.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """From how many unsent bytes on writers have to wait, and until how few."""
        self._lower.set_write_buffer_limits(high=high, low=low)

    def get_write_buffer_size(self) -> int:
        """Bytes that are not sent yet."""
        return self._lower.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's own TLS transports tell it."""
        if name == "peercert":
            return self._tls.getpeercert()
        if name == "ssl_object":
            return self._tls
        return self._lower.get_extra_info(name, default)
