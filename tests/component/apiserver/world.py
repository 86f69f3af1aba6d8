"""A whole API server over TLS on loopback, and clients of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver.server import ApiServer, ServerConfig, build
from knarr.client.client import Client
from knarr.client.http import HttpTransport
from knarr.component_base import certificates
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.clock import RealClock
from knarr.component_base.http_server import HttpServer
from knarr.component_base.kubeconfig import Access
from knarr.storage.memory import MemoryStore
from knarr.storage.store import Store

NAMESPACE = "tests"
_PATIENCE = 90.0


@dataclass(slots=True)
class World:
    """One running server."""

    api: ApiServer
    url: str
    authority: Authority
    clients: list[Client] = field(default_factory=list)

    def client(self, name: str = "admin", *groups: str) -> Client:
        """A client with a certificate of this name; an administrator unless groups are given."""
        leaf = Leaf(name, groups if groups or name != "admin" else ("system:masters",), client=True)
        pair = self.authority.issue(leaf, RealClock().now())
        return self.with_access(Access(self.url, self.authority.certificate, pair.certificate, pair.key))

    def bearer(self, token: str) -> Client:
        """A client with a bearer token; anonymous with an empty one."""
        return self.with_access(Access(self.url, self.authority.certificate, token=token))

    def with_access(self, access: Access) -> Client:
        """A client with this access."""
        client = Client(HttpTransport(access))
        self.clients.append(client)
        return client


@asynccontextmanager
async def running(
    directory: Path, store: Store | None = None, *, shared: bool = False, **settings: Any
) -> AsyncIterator[World]:
    """A server with a namespace that pods can be made in; `shared`: as if others wrote to its store.

    `settings` are those of `ServerConfig`.
    """
    own = store or MemoryStore()
    clock = RealClock()
    authority = Authority.load_or_create(directory, "ca", clock.now())
    key = certificates.signing_key(directory)
    config = ServerConfig([key], service_cidr="10.96.0.0/24", shared_store=shared, **settings)
    api = await build(config, own, clock)
    http = HttpServer(api.handler, _tls(directory, authority), api.quick, repeat=api.repeat)
    port = await http.listen("127.0.0.1", 0)
    world = World(api, f"https://127.0.0.1:{port}", authority)
    try:
        await _prepare(world)
        yield world
    finally:
        for client in world.clients:
            await client.close()
        await http.close()
        await api.close()
        await own.close()


def _tls(directory: Path, authority: Authority) -> ssl.SSLContext:
    leaf = Leaf("server", dns=("localhost",), ips=("127.0.0.1",), server=True)
    certificate, key = certificates.leaf_files(authority, directory, "serving", leaf, RealClock().now())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=authority.certificate.decode())
    if (directory / "front-proxy-ca.crt").exists():
        context.load_verify_locations(directory / "front-proxy-ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def _prepare(world: World) -> None:
    if world.api.ctx.reader.get("namespaces", "", "", NAMESPACE) is not None:
        return
    admin = world.client()
    await admin.create(registry.NAMESPACES, {"metadata": {"name": NAMESPACE}})
    await admin.create(registry.SERVICEACCOUNTS, {"metadata": {"name": "default"}}, NAMESPACE)


def config_map(name: str, **labels: str) -> Object:
    """A ConfigMap."""
    return {"metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}, "data": {"k": "0"}}


def pod(name: str, **spec: object) -> Object:
    """A pod of one container."""
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; fails when it does not in time."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while not holds():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError("it does not come true")
        await asyncio.sleep(0.01)


async def collect(client: Client, resource: Resource, count: int, **options: str) -> list[tuple[str, Object]]:
    """The first events of a watch in the test's namespace."""
    found: list[tuple[str, Object]] = []
    async with asyncio.timeout(_PATIENCE):
        async for event in client.watch(resource, NAMESPACE, **options):
            found.append((event.type, event.object))
            if len(found) == count:
                break
    return found
