"""The pod network of a node: bridge, routes, masquerading, and what the runtime reads to join pods to it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from knarr.api.registry import NODES
from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.informer import Informer
from knarr.controller_runtime.informers import Informers
from knarr.network import links, plan
from knarr.network.plan import PodNetwork
from knarr.proxy.nftables import NftablesError, run_nft

_log = logs.get("network")
_CONFIG = "10-knarr.conflist"
_PAUSE = 1.0


class Network:
    """One node's network. `cni` is the folder the runtime reads, `state` that of the address leases."""

    def __init__(self, name: str, ranges: tuple[str, str], cni: Path, state: Path, informers: Informers) -> None:
        self._name = name
        self._cluster_cidr, self._service_cidr = ranges
        self._cni, self._state = cni, state
        self._nodes: Informer = informers.add(NODES)
        self._changed = asyncio.Event()
        self._routes: dict[str, plan.Route] = {}
        self._made = ""
        #: Set once pods can be joined; the bridge has this address then.
        self.ready = asyncio.Event()
        self.gateway = ""

    async def start(self, tasks: Tasks, dns_address: str) -> None:
        """Take the address of DNS and follow the nodes. Raises `OSError`."""
        if dns_address:
            await links.add_own_address(dns_address)
        self._nodes.listen(self._node_changed)
        tasks.forever(self._follow, "pod network")

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        self._changed.set()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._sync()
            except (OSError, NftablesError) as error:
                _log.warning("network not set up", error=error)
                self._changed.set()
                await asyncio.sleep(_PAUSE)

    async def _sync(self) -> None:
        own = self._nodes.get("", self._name)
        cidr = ((own or {}).get("spec") or {}).get("podCIDR", "")
        if cidr and cidr != self._made:
            network = PodNetwork(cidr, self._cluster_cidr, self._service_cidr)
            await self._make(network)
            self._made, self.gateway = cidr, network.gateway
            self.ready.set()
        await self._set_routes(plan.routes(self._nodes.list(), self._name))

    async def _make(self, network: PodNetwork) -> None:
        """Everything is there before the runtime is told: a pod joined too early would be cut off."""
        await asyncio.gather(links.make_bridge(network), run_nft(plan.masquerade(network)))
        links.set_sysctls(network.bridge)
        self._cni.mkdir(parents=True, exist_ok=True)
        text = json.dumps(plan.cni_config(network, str(self._state)))
        path = self._cni / _CONFIG
        if not path.exists() or path.read_text() != text:
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").replace(path)
        _log.info("pod network made", cidr=network.pod_cidr, bridge=network.bridge)

    async def _set_routes(self, wanted: dict[str, plan.Route]) -> None:
        for name, route in self._routes.items():
            if wanted.get(name) != route:
                await links.drop_route(route)
        for name, route in wanted.items():
            if self._routes.get(name) != route:
                await links.set_route(route)
        self._routes = wanted
