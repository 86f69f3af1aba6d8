"""One small server, reached through either transport."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from knarr.client.http import HttpTransport
from knarr.client.local import LocalTransport
from knarr.client.transport import Transport
from knarr.component_base.certificates import Authority, Leaf, leaf_files
from knarr.component_base.clock import RealClock
from knarr.component_base.http import UserInfo
from knarr.component_base.http_server import Handler, HttpServer
from knarr.component_base.kubeconfig import Access

Reaching: TypeAlias = Callable[[Handler], AbstractAsyncContextManager[Transport]]
USER = UserInfo("alice", ("developers",))


@asynccontextmanager
async def local(handler: Handler) -> AsyncIterator[Transport]:
    """The handler without a socket."""
    transport = LocalTransport(handler, USER, "suite")
    try:
        yield transport
    finally:
        await transport.close()


def tls_pair(directory: Path) -> tuple[ssl.SSLContext, Access]:
    """A server's context and what a client needs to reach it as alice, without the address."""
    now = RealClock().now()
    authority = Authority.load_or_create(directory, "ca", now)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*leaf_files(authority, directory, "server", Leaf("server", ips=["127.0.0.1"]), now))
    context.load_verify_locations(directory / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    pair = authority.issue(Leaf("alice", ["developers"], client=True), now)
    access = Access("", authority.certificate, pair.certificate, pair.key, token="secret")
    return context, access


@asynccontextmanager
async def over_tls(handler: Handler, directory: Path) -> AsyncIterator[Transport]:
    """The handler behind TLS on loopback."""
    context, access = tls_pair(directory)
    server = HttpServer(handler, context)
    port = await server.listen("127.0.0.1", 0)
    transport = HttpTransport(Access(f"https://127.0.0.1:{port}", *_rest(access)), "suite")
    try:
        yield transport
    finally:
        await transport.close()
        await server.close()


def _rest(access: Access) -> tuple[bytes, bytes, bytes, str]:
    return access.authority, access.certificate, access.key, access.token


@pytest.fixture(params=["local", "http"])
def reaching(request: pytest.FixtureRequest, tmp_path: Path) -> Reaching:
    """Opens a transport to a handler."""
    return local if request.param == "local" else lambda handler: over_tls(handler, tmp_path)
