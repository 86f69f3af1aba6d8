"""Requests from the API server to kubelets, as its kubelet client."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.connect.lookup import KubeletAddress
from knarr.component_base import http_client
from knarr.component_base.http_client import Address, Connect, Incoming, Outgoing


class Kubelets:
    """Reaches kubelets over TLS with the API server's client certificate.

    `tls` verifies the kubelets' serving certificates; when certificates are renewed, load them into this same context.
    """

    def __init__(self, tls: ssl.SSLContext, connect: Connect = http_client.connect) -> None:
        self.tls = tls
        self.connect = connect

    def address(self, where: KubeletAddress, *, verify: bool = True) -> Address:
        """Where and how to connect."""
        return Address(where.host, where.port, self.tls if verify else _unverified(self.tls))

    async def send(self, address: Address, request: Outgoing) -> Incoming:
        """Send a request. Raises `StatusError` 500 when the kubelet cannot be reached."""
        try:
            return await http_client.send(address, request, self.connect)
        except ConnectionError as error:
            raise StatusError(500, "", f"error dialing backend: {error}") from error


def target(parts: Sequence[str], pairs: Sequence[tuple[str, str]]) -> str:
    """The path and query of a kubelet's URL."""
    path = "".join(f"/{quote(part, safe='')}" for part in parts)
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _unverified(tls: ssl.SSLContext) -> ssl.SSLContext:
    """What `insecureSkipTLSVerifyBackend` asks for: no verification, and no credentials for whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = tls.minimum_version
    return context
