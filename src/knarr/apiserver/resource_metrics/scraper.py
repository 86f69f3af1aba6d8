"""Asks every kubelet in turn what it uses, every few seconds.

As many are asked at once as `AT_ONCE`; connections are kept. A node that does not answer loses what was known of it,
as its figures would grow old unseen.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.connect import lookup
from knarr.apiserver.resource_metrics import samples
from knarr.apiserver.resource_metrics.history import History
from knarr.apiserver.webhooks.connections import Connections, Place
from knarr.apiserver.webhooks.endpoints import HostPort
from knarr.client.connection import Connection
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.metrics import About, Counter, Family

#: Kubelets that are asked at the same time.
AT_ONCE = 20
#: Seconds that one may take, connection and answer.
_PATIENCE = 10.0
#: Seconds between looks while there is a node of which one look is known, or none at all.
_SOON = 5.0
_PATH = "/metrics/resource"
_REQUESTS = About("metrics_server_kubelet_request_total", "Number of requests sent to Kubelet API", ("success",))
_log = logs.get("resource-metrics")


class ScrapeError(Exception):
    """A kubelet gave no figures; the text says why."""


class Scraper:
    """Fills a history. `tls` verifies kubelets and shows them the API server's client certificate."""

    def __init__(self, reader: Reader, tls: ssl.SSLContext, clock: Clock, history: History) -> None:
        self._reader = reader
        self._tls = tls
        self._clock = clock
        self._history = history
        self._connections = Connections()
        self._asked = Counter(_REQUESTS)
        #: Nodes that failed last time: said once.
        self._failing: set[str] = set()

    @property
    def families(self) -> tuple[Family, ...]:
        """What is counted."""
        return (self._asked,)

    async def run(self, resolution: float) -> None:
        """Scrape for ever, every `resolution` seconds; sooner while a node has been looked at once only."""
        try:
            while True:
                began = self._clock.monotonic()
                await self.scrape()
                pause = min(resolution, _SOON) if self._history.is_fresh else resolution
                await self._clock.sleep(max(0.0, began + pause - self._clock.monotonic()))
        finally:
            await self._connections.close()

    async def scrape(self) -> None:
        """Ask all nodes once."""
        names = [node["metadata"]["name"] for node in self._reader.list("nodes", "") if _has_kubelet(node)]
        self._forget_all_but(names)
        seats = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with seats:
                await self._scrape(name)

        await asyncio.gather(*map(one, names))

    def _forget_all_but(self, names: Iterable[str]) -> None:
        for name in self._history.nodes.difference(names):
            self._history.forget(name)
        self._failing.intersection_update(names)

    async def _scrape(self, name: str) -> None:
        try:
            where = lookup.kubelet(self._reader, name)
        except StatusError:
            # It has not told yet where it is; or it has just gone.
            self._history.forget(name)
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                text = await self._ask(HostPort(where.host, where.port))
            self._history.store(name, samples.parse(text, self._clock.now().timestamp()))
        except TimeoutError:
            self._failed(name, f"no answer within {_PATIENCE:.0f} s")
        except (ConnectionError, ScrapeError, ValueError) as error:
            self._failed(name, str(error))
        else:
            self._asked.add(("true",))
            self._failing.discard(name)

    def _failed(self, name: str, why: str) -> None:
        self._asked.add(("false",))
        self._history.forget(name)
        if name not in self._failing:
            self._failing.add(name)
            _log.warning("a kubelet tells no figures", node=name, error=why)

    async def _ask(self, where: HostPort) -> str:
        """The text of `/metrics/resource`. Raises `ConnectionError`, `ScrapeError`."""
        place = Place(where, where.host, self._tls)
        while True:
            connection = await self._connections.get(place)
            reused = connection.exchanges > 0
            try:
                return await _exchange(connection, where)
            except ConnectionError:
                # A kept connection may have gone at any time: that says nothing about the kubelet.
                if not reused:
                    raise
            finally:
                connection.end()


def _has_kubelet(node: Object) -> bool:
    """Whether a kubelet has told its port; nobody answers at a node that was only written down, or is simulated."""
    endpoints = (node.get("status") or {}).get("daemonEndpoints") or {}
    return bool((endpoints.get("kubeletEndpoint") or {}).get("Port"))


async def _exchange(connection: Connection, where: HostPort) -> str:
    authority = f"[{where.host}]:{where.port}" if ":" in where.host else f"{where.host}:{where.port}"
    connection.send(f"GET {_PATH} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/plain\r\n\r\n".encode())
    status = await connection.head()
    body = bytearray()
    while chunk := await connection.chunk():
        body += chunk
        if len(body) > samples.MOST_BYTES:
            raise ScrapeError(f"the answer has more than {samples.MOST_BYTES} bytes")
    if status != 200:
        raise ScrapeError(f"HTTP {status}: {bytes(body[:200]).decode(errors='replace').strip()}")
    return body.decode(errors="replace")
