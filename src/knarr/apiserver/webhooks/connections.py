"""Connections to webhooks: kept for the next call, bounded in what they take in, failures worded as Go words them."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from typing import NamedTuple

from knarr.apiserver.webhooks.endpoints import HostPort
from knarr.client.connection import Connection
from knarr.component_base.http_client import dial_fault

#: Bytes of an answer's head that are accepted.
MAX_HEAD = 256 * 1024
#: Idle connections kept, of all webhooks together and of each.
_MOST_IDLE, _MOST_IDLE_EACH = 100, 10
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 24})
_EXPIRED = frozenset({9, 10})
_WRONG_HOST = frozenset({62, 64})


class Place(NamedTuple):
    """Where a connection leads, and whom it must meet there."""

    address: HostPort
    server_name: str
    tls: ssl.SSLContext | None


class _Bounded(Connection):
    """A connection that takes no head without end."""

    def __init__(self, pool: Connections, place: Place) -> None:
        super().__init__(lambda _self: pool.keep(self, place), lambda _self: pool.forget(self, place))
        self._taken = 0

    def send(self, data: bytes) -> None:
        """Begin an exchange."""
        self._taken = 0
        super().send(data)

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        if not self._head_done:
            self._taken += len(data)
            if self._taken > MAX_HEAD:
                self._fail("the server's answer has too long a head")
                self._wake()
                return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits, in Go's words."""
        self._failure = self._failure or (f"read: {dial_fault(exc)}" if isinstance(exc, OSError) else "EOF")
        super().connection_lost(exc)


def trust(bundle: str) -> ssl.SSLContext:
    """TLS that trusts a bundle of authorities (base64 of PEM), or those of the system. Raises `ValueError`."""
    try:
        pem = base64.b64decode(bundle, validate=True).decode("ascii")
        context = ssl.create_default_context(cadata=pem or None)
    except (ValueError, ssl.SSLError) as error:
        raise ValueError("unable to load root certificates: unable to parse bytes as PEM block") from error
    # Certificates of Kubernetes' own authorities need not carry what the strict flag asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class Connections:
    """The connections of one server to all webhooks."""

    def __init__(self) -> None:
        self._idle: dict[Place, list[_Bounded]] = {}
        self._open: set[_Bounded] = set()
        self._closed = False

    async def get(self, place: Place) -> Connection:
        """A connection, an idle one if there is one. Raises `ConnectionError`."""
        idle = self._idle.get(place, [])
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return await self._connect(place)

    async def _connect(self, place: Place) -> Connection:
        if self._closed:
            raise ConnectionError("the server shuts down")
        loop, (host, port) = asyncio.get_running_loop(), place.address
        name = place.server_name if place.tls is not None else None
        try:
            _, connection = await loop.create_connection(
                lambda: _Bounded(self, place), host, port, ssl=place.tls, server_hostname=name
            )
        except ssl.SSLError as error:
            raise ConnectionError(tls_fault(error, place.server_name)) from error
        except socket.gaierror as error:
            raise ConnectionError(f"dial tcp: lookup {host}: no such host") from error
        except OSError as error:
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            raise ConnectionError(f"dial tcp {shown}: {dial_fault(error)}") from error
        self._open.add(connection)
        return connection

    def keep(self, connection: _Bounded, place: Place) -> None:
        """A connection may be used again."""
        idle = self._idle.setdefault(place, [])
        if self._closed or len(idle) >= _MOST_IDLE_EACH or sum(map(len, self._idle.values())) >= _MOST_IDLE:
            connection.close()
        else:
            idle.append(connection)

    def forget(self, connection: _Bounded, place: Place) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        idle = self._idle.get(place, [])
        if connection in idle:
            idle.remove(connection)
        if not idle:
            self._idle.pop(place, None)

    async def close(self) -> None:
        """Cut all connections."""
        self._closed = True
        for connection in list(self._open):
            connection.close()
        # Aborted transports report it in the loop's next turn.
        await asyncio.sleep(0)


def tls_fault(error: ssl.SSLError, server_name: str) -> str:
    """Why a TLS handshake failed, worded as Go does."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {_certificate_fault(error, server_name)}"
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "http: server gave HTTP response to HTTPS client"
    return f"remote error: tls: {(error.reason or str(error)).lower().replace('_', ' ')}"


def _certificate_fault(error: ssl.SSLCertVerificationError, server_name: str) -> str:
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return "certificate signed by unknown authority"
    if error.verify_code in _EXPIRED:
        return "certificate has expired or is not yet valid"
    if error.verify_code in _WRONG_HOST:
        return f"certificate is not valid for {server_name}"
    return str(error.verify_message)
