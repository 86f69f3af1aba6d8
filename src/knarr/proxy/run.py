"""kube-proxy: watches Services, EndpointSlices and the own Node, and keeps the kernel's table as they say.

Changes that come within a moment of each other share one transaction.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from knarr.api.registry import NODES, SERVICES, resource
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.watches import Watches
from knarr.proxy import conntrack
from knarr.proxy.flows import Destinations, stale
from knarr.proxy.nftables import NftablesError, Table
from knarr.proxy.ruleset import Layout
from knarr.proxy.services import Place
from knarr.proxy.state import State

#: Seconds that further changes are waited for.
BATCH = 0.02
#: Seconds between looks at whether the table still stands.
VERIFY = 30.0
#: Seconds until a failed transaction is tried again, doubled up to the second number.
_RETRY, _LONGEST_RETRY = 0.5, 30.0
#: Seconds a change may wait before the proxy counts as unhealthy (kube-proxy: twice its sync period of 30 s).
_LATE = 60.0
_ENDPOINT_SLICES = resource("endpointslices", "discovery.k8s.io")
_Callback: TypeAlias = Callable[[Object | None, Object | None], None]
_log = logs.get("proxy")


@dataclass(frozen=True, slots=True)
class Settings:
    """Which node this is and what its network looks like; `nft` is the program that loads rules."""

    node_name: str
    layout: Layout
    nft: str = "nft"


@dataclass(slots=True)
class Counters:
    """What `/metrics` tells (`kubeproxy_sync_proxy_rules_…`, `kubeproxy_…_total`); durations in seconds."""

    syncs: int = 0
    failures: int = 0
    sync_seconds: float = 0.0
    last_queued: float = 0.0
    last_synced: float = 0.0
    flows_forgotten: int = 0


@dataclass(slots=True)
class _Due:
    """When the oldest change came in that is not yet in the kernel (monotonic seconds)."""

    since: float | None = None
    event: asyncio.Event = field(default_factory=asyncio.Event)


class Proxy:
    """The proxy of the network namespace this process is in, for one address family.

    `watches` belongs to the caller, who runs it; its watches of Services and EndpointSlices may be DNS's as well.
    """

    def __init__(self, watches: Watches, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._state = State(Place(settings.node_name), settings.layout)
        self._table = Table(settings.nft)
        self._due = _Due()
        self._served: Destinations | None = None
        self._running: list[asyncio.Task[Any]] = []
        self.counters = Counters()
        #: Set once the rules of everything that was there at the start are loaded.
        self.ready = asyncio.Event()
        own = f"metadata.name={settings.node_name}"
        self._watched = (
            (watches.add(SERVICES), self._state.on_service),
            (watches.add(_ENDPOINT_SLICES), self._state.on_slice),
            (watches.add(NODES, field_selector=own), self._state.on_node),
        )
        for watched, callback in self._watched:
            watched.listen(self._noticing(callback))

    async def start(self, tasks: Tasks) -> None:
        """Begin; the rules are loaded when everything was listed (`ready`)."""
        self._running = [
            tasks.forever(self._follow, "proxy"),
            tasks.forever(self._verify, "proxy table check"),
        ]

    async def close(self) -> None:
        """Stop. The rules stay: Services go on working while the proxy is restarted."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def remove(self) -> None:
        """Take the table out of the kernel. Raises `NftablesError`."""
        await self._table.remove()

    def is_healthy(self) -> bool:
        """Whether no change has waited too long for its way into the kernel."""
        since = self._due.since
        return since is None or self._clock.monotonic() - since < _LATE

    def health(self) -> Object:
        """The body of `/healthz`; it goes with 200 or, unless `is_healthy`, with 503."""
        now = self._clock.now()
        since = self._due.since
        behind = datetime.timedelta(seconds=0.0 if since is None else self._clock.monotonic() - since)
        return {
            "lastUpdated": timestamps.micro(now - behind),
            "currentTime": timestamps.micro(now),
            "nodeEligible": True,
        }

    def _noticing(self, callback: _Callback) -> _Callback:
        def changed(old: Object | None, new: Object | None) -> None:
            callback(old, new)
            if self._state.changed:
                self._mark()

        return changed

    def _mark(self) -> None:
        if self._due.since is None:
            self._due.since = self._clock.monotonic()
            self.counters.last_queued = self._clock.now().timestamp()
        self._due.event.set()

    async def _follow(self) -> None:
        await asyncio.gather(*(watched.synced.wait() for watched, _ in self._watched))
        self._mark()
        pause = _RETRY
        while True:
            await self._due.event.wait()
            await self._clock.sleep(BATCH)
            if await self._sync():
                pause = _RETRY
                self.ready.set()
                continue
            await self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_RETRY)
            self._due.event.set()

    async def _sync(self) -> bool:
        """Bring the kernel to the present state; says whether that went well."""
        began = self._clock.monotonic()
        since, self._due.since = self._due.since, None
        self._due.event.clear()
        wanted, served = self._state.take()
        try:
            await self._table.apply(wanted)
            await self._forget_flows(served)
        except (NftablesError, OSError) as error:
            self.counters.failures += 1
            self._due.since = since
            _log.warning("rules not loaded", error=error)
            return False
        self.counters.syncs += 1
        self.counters.sync_seconds += self._clock.monotonic() - began
        self.counters.last_synced = self._clock.now().timestamp()
        _log.debug("rules loaded", chains=len(wanted.chains), seconds=round(self._clock.monotonic() - began, 4))
        return True

    async def _forget_flows(self, served: Destinations) -> None:
        """Free UDP clients from endpoints that are gone; only after the new rules stand, or they would bind anew."""
        if served == self._served:
            return
        if served.addresses or served.node_ports:
            flows = stale(await conntrack.udp_flows(), served)
            if flows:
                await conntrack.forget(flows)
                self.counters.flows_forgotten += len(flows)
        self._served = served

    async def _verify(self) -> None:
        """Notice a table that somebody flushed or deleted."""
        await self.ready.wait()
        while True:
            await self._clock.sleep(VERIFY)
            if self._due.since is None and not await self._table.verify():
                _log.warning("the table is gone; loading it again")
                self._mark()
