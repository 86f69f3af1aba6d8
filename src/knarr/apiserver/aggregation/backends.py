"""Connections to other API servers: this one shows its certificate as a front proxy and names the user in headers."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Sequence
from urllib.parse import quote

from knarr.apiserver.aggregation.routes import Route
from knarr.apiserver.attributes import Reader
from knarr.apiserver.request import UserInfo
from knarr.apiserver.webhooks import endpoints
from knarr.apiserver.webhooks.connections import tls_fault, trust
from knarr.component_base import http_client
from knarr.component_base.http_client import Address, Connection, Incoming, Outgoing

#: Gives a TLS context the client certificate of the front proxy.
Identify = Callable[[ssl.SSLContext], None]
Headers = Sequence[tuple[str, str]]
#: TLS settings kept, one for each authority.
_MOST_TRUSTED = 100
#: What an extra's key may keep in the name of a header (RFC 9110, 5.6.2), but for the percent sign.
_TOKEN = "!#$&'*+-.^_`|~"


class Backends:
    """Reaches the servers behind routes."""

    def __init__(self, reader: Reader, identify: Identify | None) -> None:
        self._reader = reader
        self._identify = identify
        self._tls: dict[tuple[str, bool], ssl.SSLContext] = {}

    def forget(self) -> None:
        """The front proxy has a new certificate: use it from the next connection on."""
        self._tls.clear()

    def address(self, route: Route) -> Address:
        """Where a route leads just now. Raises `StatusError`, `ValueError` for an authority that is no use."""
        host, port = endpoints.resolve(self._reader, route.service, random.choice)
        return Address(host, port, self._context(route), route.service.server_name)

    def _context(self, route: Route) -> ssl.SSLContext:
        key = (route.authority, route.insecure)
        found = self._tls.get(key)
        if found is None:
            if len(self._tls) >= _MOST_TRUSTED:
                self._tls.clear()
            found = trust("" if route.insecure else route.authority)
            if route.insecure:
                found.check_hostname = False
                found.verify_mode = ssl.CERT_NONE
            if self._identify is not None:
                self._identify(found)
            self._tls[key] = found
        return found

    async def send(self, address: Address, request: Outgoing) -> Incoming:
        """Send a request and wait for the answer's head. Raises `ConnectionError`."""
        return await http_client.send(address, request, connect)


async def connect(address: Address) -> Connection:
    """A new connection, TLS failures worded as Go words them. Raises `ConnectionError`."""
    try:
        return await http_client.connect(address)
    except ConnectionError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise ConnectionError(tls_fault(error.__cause__, address.server_name)) from error
        raise


def identity(user: UserInfo) -> list[tuple[str, str]]:
    """The headers by which the other server knows the user."""
    out = [("X-Remote-User", user.name)]
    if user.uid:
        out.append(("X-Remote-Uid", user.uid))
    out += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra.items():
        out += [(f"X-Remote-Extra-{_escaped(key)}", value) for value in values]
    return out


def _escaped(key: str) -> str:
    """An extra's key as a part of a header's name."""
    return quote(key.lower(), safe=_TOKEN)
