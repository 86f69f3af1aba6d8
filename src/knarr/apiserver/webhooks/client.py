"""The client of webhooks of every kind: admission, conversion, authentication, authorization.

A call is one POST of a JSON document, answered by one; it ends in time, whatever the other side does. Failures are
worded as client-go words them. Redirects are not followed: they could lead anywhere the server can reach.
"""

from __future__ import annotations

import asyncio
import math
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.webhooks import answers, endpoints
from knarr.apiserver.webhooks.answers import CallError
from knarr.apiserver.webhooks.connections import Connections, Place, trust
from knarr.apiserver.webhooks.endpoints import HostPort, ServicePort
from knarr.client.connection import Connection

#: Bytes of an answer that are accepted: the largest object there may be, as base64, with room to spare.
MAX_ANSWER = 8 * 1024 * 1024
#: TLS settings kept, one for each bundle of authorities.
_MOST_TRUSTED = 200
_AGENT = "kube-apiserver-admission"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call: `url` as errors show it, and the Service that stands behind it, if one does."""

    url: str
    tls: ssl.SSLContext | None
    service: ServicePort | None = None
    #: More headers, as Authorization.
    headers: Sequence[tuple[str, str]] = ()


class WebhookClient:
    """Calls webhooks over connections that it keeps. One for a server."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._connections = Connections()
        self._trust: dict[str, ssl.SSLContext] = {}

    def target(self, client_config: Object) -> Target:
        """Whom a `clientConfig` (`url` or `service`, `caBundle`) names. Raises `CallError` for one that is no use."""
        try:
            url = endpoints.url_of(client_config)
            tls = self.trusting(client_config.get("caBundle") or "")
        except ValueError as error:
            raise CallError(str(error)) from error
        reference = client_config.get("service")
        return Target(url, tls, endpoints.service_port(reference) if reference else None)

    def trusting(self, bundle: str) -> ssl.SSLContext:
        """TLS that trusts a bundle of authorities (base64 of PEM), or those of the system. Raises `ValueError`."""
        found = self._trust.get(bundle)
        if found is None:
            if len(self._trust) >= _MOST_TRUSTED:
                self._trust.clear()
            found = self._trust[bundle] = trust(bundle)
        return found

    async def post(self, target: Target, document: bytes, seconds: float) -> Any:
        """Send a JSON document; gives the answer's. Raises `CallError`."""
        url = f"{target.url}?timeout={math.ceil(seconds)}s"
        try:
            async with asyncio.timeout(seconds) as limit:
                status, content_type, body = await self._exchange(target, url, document)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise CallError(f'Post "{url}": context deadline exceeded') from error
        except (ConnectionError, ValueError, StatusError) as error:
            code = error.code if isinstance(error, StatusError) else 0
            raise CallError(f'Post "{url}": {error}', code) from error
        return answers.read(status, content_type, body)

    async def _exchange(self, target: Target, url: str, document: bytes) -> tuple[int, str, bytes]:
        place = self._place(target)
        data = _request(url, target.headers, document)
        while True:
            connection = await self._connections.get(place)
            reused = connection.exchanges > 0
            try:
                connection.send(data)
                status = await connection.head()
                body = await _body(connection)
                return status, connection.headers.get("content-type", ""), body
            except ConnectionError:
                # Who closes a kept connection says nothing about the call; webhooks may be called twice.
                if not reused or connection.answered:
                    raise
            finally:
                connection.end()

    def _place(self, target: Target) -> Place:
        if target.service is not None:
            address = endpoints.resolve(self._reader, target.service, random.choice)
            return Place(address, target.service.server_name, target.tls)
        parts = urlsplit(target.url)
        tls = target.tls if parts.scheme == "https" else None
        host = parts.hostname or ""
        return Place(HostPort(host, parts.port or (443 if parts.scheme == "https" else 80)), host, tls)

    async def close(self) -> None:
        """Cut all connections."""
        await self._connections.close()


def _request(url: str, headers: Sequence[tuple[str, str]], document: bytes) -> bytes:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"User-Agent: {_AGENT}",
        "Accept: application/json, */*",
        "Content-Type: application/json",
        f"Content-Length: {len(document)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + document


async def _body(connection: Connection) -> bytes:
    out = bytearray()
    while chunk := await connection.chunk():
        out += chunk
        if len(out) > MAX_ANSWER:
            raise ConnectionError(f"the answer has more than {MAX_ANSWER} bytes")
    return bytes(out)
