"""Makes the pod network's bridge, addresses, routes and sysctls in this process's network namespace."""

from __future__ import annotations

import errno
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from knarr.component_base import logs
from knarr.network.plan import PodNetwork, Route

_log = logs.get("network")

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # Without these, packets between pods of one bridge pass the Services' rules by.
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/bridge/bridge-nf-call-ip6tables": "1",
    # Pods and the Services' route share the bridge. Redirects would be wrong, and they eat the allowance for the
    # ICMP errors that refuse a connection.
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
}
#: Behind any route a node may have: reached only where a more specific one is missing.
_LAST_METRIC = 1 << 30
_NOWHERE_TYPE = "unreachable"


def set_sysctls(bridge: str, root: Path = Path("/proc/sys")) -> None:
    """Turn on forwarding and bridge filtering. /proc/sys/net shows the namespace of who reads and writes it."""
    for name, value in {**_SYSCTLS, f"net/ipv4/conf/{bridge}/send_redirects": "0"}.items():
        path = root / name
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            _log.warning("sysctl not set", sysctl=name, error=error)


async def make_bridge(network: PodNetwork) -> None:
    """Bridge, address and routes; what exists already stays. Raises `OSError`-like netlink errors."""
    from pyroute2 import AsyncIPRoute

    async with AsyncIPRoute() as netlink:
        index = await _link(netlink, network.bridge)
        if index is None:
            await netlink.link("add", ifname=network.bridge, kind="bridge", address=network.mac, mtu=network.mtu)
            index = await _link(netlink, network.bridge)
        await netlink.link("set", index=index, address=network.mac, state="up")
        await _tolerate(
            netlink.addr("add", index=index, address=network.gateway, prefixlen=network.prefix_length), errno.EEXIST
        )
        # Routing comes before the Services' rules: an address without a route would never meet them. The second,
        # last route of each range keeps its packets from leaving by an uplink should the bridge go.
        await netlink.route("replace", dst=network.service_cidr, oif=index)
        for cidr in (network.service_cidr, network.cluster_cidr):
            await _tolerate(netlink.route("add", dst=cidr, type=_NOWHERE_TYPE, priority=_LAST_METRIC), errno.EEXIST)


async def add_own_address(address: str) -> None:
    """Bind a Service address that this node answers itself (DNS) to the loopback interface."""
    from pyroute2 import AsyncIPRoute

    async with AsyncIPRoute() as netlink:
        await netlink.link("set", index=1, state="up")
        length = 128 if ":" in address else 32
        await _tolerate(netlink.addr("add", index=1, address=address, prefixlen=length), errno.EEXIST)


async def set_route(route: Route) -> None:
    """Send another node's pod range to its address."""
    from pyroute2 import AsyncIPRoute

    async with AsyncIPRoute() as netlink:
        await netlink.route("replace", dst=route.pod_cidr, gateway=route.gateway)


async def drop_route(route: Route) -> None:
    """Take the route to another node's pods away."""
    from pyroute2 import AsyncIPRoute

    async with AsyncIPRoute() as netlink:
        await _tolerate(netlink.route("del", dst=route.pod_cidr, gateway=route.gateway), errno.ESRCH)


async def _link(netlink: Any, name: str) -> int | None:
    found = await netlink.link_lookup(ifname=name)
    return found[0] if found else None


async def _tolerate(call: Awaitable[Any], code: int) -> None:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        await call
    except NetlinkError as error:
        if error.code != code:
            raise
