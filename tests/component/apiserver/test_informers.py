"""Informers against a real server that goes away, comes back, and forgets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.component.apiserver.world import NAMESPACE, config_map, eventually

from knarr.api.registry import CONFIGMAPS, NAMESPACES
from knarr.apimachinery.types import Object
from knarr.apiserver.server import ApiServer, ServerConfig, build
from knarr.client.client import MERGE_PATCH, Client
from knarr.client.http import HttpTransport
from knarr.client.local import LocalTransport
from knarr.component_base import certificates
from knarr.component_base.clock import RealClock
from knarr.component_base.http import Request, Response, UserInfo
from knarr.component_base.http_server import HttpServer
from knarr.component_base.kubeconfig import Access
from knarr.controller_runtime.informer import Informer
from knarr.controller_runtime.informers import Informers
from knarr.storage.memory import MemoryStore
from knarr.storage.store import Store

ADMIN = UserInfo("admin", ("system:masters",))


class Servers:
    """One API server after the other over one store, on one port."""

    def __init__(self, directory: Path, store: Store) -> None:
        self._config = ServerConfig([certificates.signing_key(directory)], service_cidr="10.96.0.0/24")
        self._store = store
        self._api: ApiServer | None = None
        self._http: HttpServer | None = None
        self._port = 0
        self.lists: list[dict[str, str]] = []
        self.watches: list[dict[str, str]] = []

    @property
    def access(self) -> Access:
        return Access(f"http://127.0.0.1:{self._port}")

    async def start(self) -> Client:
        """A server that is not listening yet, and a client of it without a socket."""
        api = self._api = await build(self._config, self._store, RealClock())

        async def handler(request: Request) -> Response:
            if request.path.endswith("/configmaps"):
                (self.watches if "watch" in request.query else self.lists).append(request.query)
            request.trusted = ADMIN
            return await api.handler(request)

        self._http = HttpServer(handler, None)
        return Client(LocalTransport(api.handler, ADMIN))

    async def listen(self) -> None:
        assert self._http is not None
        self._port = await self._http.listen("127.0.0.1", self._port)

    async def stop(self) -> None:
        assert self._http is not None
        assert self._api is not None
        await self._http.close()
        await self._api.close()


async def change(client: Client, number: int) -> None:
    """One object comes, one goes, one changes."""
    await client.create(CONFIGMAPS, config_map(f"new-{number}"), NAMESPACE)
    await client.delete(CONFIGMAPS, f"c{number}", NAMESPACE)
    patch = {"data": {"k": str(number)}}
    await client.patch(CONFIGMAPS, f"c{number + 10}", patch, NAMESPACE, content_type=MERGE_PATCH)


async def same(client: Client, informer: Informer) -> None:
    """Wait until the cache holds what the server holds."""
    listed = await client.list(CONFIGMAPS, NAMESPACE)
    revision = int(listed["metadata"]["resourceVersion"])
    assert len(listed["items"]) == 620
    await eventually(lambda: known(informer.list()) == known(listed["items"]))
    assert informer.revision <= revision


def known(objects: object) -> dict[str, tuple[str, object]]:
    assert isinstance(objects, list)
    return {obj["metadata"]["name"]: (obj["metadata"]["resourceVersion"], obj["data"]) for obj in objects}


@pytest.mark.parametrize("compacted", [False, True])
def test_a_restarted_server_is_followed_on_and_listed_again_only_when_it_has_forgotten(
    tmp_path: Path, compacted: bool
) -> None:
    async def main() -> None:
        store = MemoryStore()
        servers = Servers(tmp_path, store)
        client = await servers.start()
        await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        await asyncio.gather(*(client.create(CONFIGMAPS, config_map(f"c{n}"), NAMESPACE) for n in range(620)))
        await servers.listen()
        transport = HttpTransport(servers.access)
        informers = Informers(Client(transport), spread=lambda: 0.0)
        informer = informers.add(CONFIGMAPS, namespace=NAMESPACE)
        told: list[tuple[str, str]] = []

        def listen(old: Object | None, new: Object | None) -> None:
            kind = "added" if old is None else "deleted" if new is None else "changed"
            told.append((kind, (new or old or {})["metadata"]["name"]))

        informer.listen(listen)
        informers.run()
        await asyncio.wait_for(informers.synced(), 90)
        await same(client, informer)
        assert [query["limit"] for query in servers.lists] == ["500", "500"]
        await change(client, 1)
        await same(client, informer)
        told.clear()
        servers.lists.clear()

        await servers.stop()
        client = await servers.start()
        await change(client, 2)
        if compacted:
            await store.compact(await store.revision())
            await servers.stop()
            client = await servers.start()
        await servers.listen()
        await same(client, informer)
        assert sorted(told) == [("added", "new-2"), ("changed", "c12"), ("deleted", "c2")]
        assert len(servers.lists) == (2 if compacted else 0)
        await change(client, 3)
        await same(client, informer)

        await informers.close()
        await transport.close()
        await servers.stop()
        await store.close()

    asyncio.run(main())
