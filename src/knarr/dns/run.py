"""Cluster DNS on one node: keeps the view as the watches show it, and serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from knarr.api.registry import NAMESPACES, SERVICES, resource
from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.watches import Watches
from knarr.dns.forward import Forwarder, Upstream, resolvers
from knarr.dns.records import Zone
from knarr.dns.server import Resolver, serve
from knarr.dns.view import View

_ENDPOINT_SLICES = resource("endpointslices", "discovery.k8s.io")
_log = logs.get("dns")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen, what to answer for, and which resolv.conf names the resolvers of foreign names."""

    addresses: Sequence[str]
    zone: Zone
    resolv_conf: Path = Path("/etc/resolv.conf")
    port: int = 53


class DnsServer:
    """The DNS server of this node.

    `watches` belongs to the caller, who runs it; its watches of Services and EndpointSlices may be the proxy's as
    well. Until they have synced, cluster names are answered with SERVFAIL, so that clients ask again.
    """

    def __init__(self, watches: Watches, settings: Settings) -> None:
        self._settings = settings
        self._resolver: Resolver | None = None
        self._closes: list[Callable[[], None]] = []
        self.view = View()
        watched = (
            (watches.add(NAMESPACES), self.view.put_namespace, self.view.drop_namespace),
            (watches.add(SERVICES), self.view.put_service, self.view.drop_service),
            (watches.add(_ENDPOINT_SLICES), self.view.put_slice, self.view.drop_slice),
        )
        self._synced = tuple(one.synced for one, _, _ in watched)
        for one, put, drop in watched:
            one.listen(_taking(put, drop))

    def is_ready(self) -> bool:
        """Whether all names of the cluster are known."""
        return all(synced.is_set() for synced in self._synced)

    async def start(self, tasks: Tasks) -> None:
        """Listen. Raises `OSError` when an address is taken or not this node's."""
        settings = self._settings
        upstreams = self._upstreams()
        _log.info("foreign names go to", resolvers=",".join(one.host for one in upstreams) or "nobody")
        self._resolver = Resolver(self.view, settings.zone, Forwarder(upstreams), self.is_ready)
        await self.listen(tasks, settings.addresses)

    async def listen(self, tasks: Tasks, addresses: Sequence[str]) -> None:
        """Once started, listen on further addresses too. Raises `OSError` when one is taken or not this node's."""
        assert self._resolver is not None
        self._closes.append(await serve(self._resolver, tasks, addresses, self._settings.port))

    async def close(self) -> None:
        """Stop listening."""
        while self._closes:
            self._closes.pop()()

    def _upstreams(self) -> tuple[Upstream, ...]:
        path = self._settings.resolv_conf
        if not path.exists():
            _log.warning("no such file; foreign names are not answered", path=path)
            return ()
        return resolvers(path.read_text(), self._settings.addresses)


def _taking(
    put: Callable[[Object], None], drop: Callable[[Object], None]
) -> Callable[[Object | None, Object | None], None]:
    def changed(old: Object | None, new: Object | None) -> None:
        if new is not None:
            put(new)
        elif old is not None:
            drop(old)

    return changed
