"""How one node's pod network looks: pure derivations from its addresses.

Input: the node's `PodNetwork`. Output: bridge address and MAC, routes, CNI configuration, nftables text.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from knarr.apimachinery.types import Object

TABLE = "knarr-network"
_PRIVATE_MAC_PREFIX = b"\x0a\x58"


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """Ranges and names of a node's pod network."""

    pod_cidr: str
    cluster_cidr: str
    service_cidr: str
    bridge: str = "cni0"
    mtu: int = 1500

    @property
    def gateway(self) -> str:
        """The bridge's address: the first of the node's range."""
        return str(ipaddress.ip_network(self.pod_cidr)[1])

    @property
    def prefix_length(self) -> int:
        """Of the node's range."""
        return ipaddress.ip_network(self.pod_cidr).prefixlen

    @property
    def mac(self) -> str:
        """A MAC that follows from the address: a bridge without one of its own changes it with its ports."""
        packed = ipaddress.ip_address(self.gateway).packed[-4:]
        return ":".join(f"{byte:02x}" for byte in _PRIVATE_MAC_PREFIX + packed)


class Route(NamedTuple):
    """A route to another node's pods."""

    pod_cidr: str
    gateway: str


def cni_config(network: PodNetwork, state_dir: str) -> Object:
    """The CNI network list that the container runtime reads; host-local keeps its leases in `state_dir`."""
    return {
        "cniVersion": "1.0.0",
        "name": "knarr",
        "plugins": [
            {
                "type": "bridge",
                "bridge": network.bridge,
                "isGateway": True,
                "isDefaultGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "mtu": network.mtu,
                "ipam": {
                    "type": "host-local",
                    "dataDir": state_dir,
                    "ranges": [[{"subnet": network.pod_cidr, "gateway": network.gateway}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
            {"type": "bandwidth", "capabilities": {"bandwidth": True}},
        ],
    }


def masquerade(network: PodNetwork) -> str:
    """The nftables text that lets pods reach the outside with the node's address."""
    # What a container's port mapping or the proxy has marked is their business; this is for pods' own calls.
    return (
        f"add table ip {TABLE}\n"
        f"delete table ip {TABLE}\n"
        f"table ip {TABLE} {{\n"
        "  chain postrouting {\n"
        "    type nat hook postrouting priority 100;\n"
        f"    ip saddr {network.pod_cidr} ip daddr != {network.cluster_cidr} ip daddr != 224.0.0.0/4 "
        f'oifname != "{network.bridge}" masquerade fully-random\n'
        "  }\n"
        "}\n"
    )


def routes(nodes: Iterable[Object], own_name: str) -> dict[str, Route]:
    """By node name, the routes to every other node that has a pod range and an internal IPv4 address."""
    found: dict[str, Route] = {}
    for node in nodes:
        name, cidr = node["metadata"]["name"], node.get("spec", {}).get("podCIDR", "")
        address = internal_address(node)
        if name != own_name and cidr and address and ":" not in cidr:
            found[name] = Route(cidr, address)
    return found


def internal_address(node: Object) -> str:
    """The node's first internal IPv4 address; empty if it has reported none."""
    for one in (node.get("status") or {}).get("addresses") or ():
        if one.get("type") == "InternalIP" and ":" not in one.get("address", ""):
            return str(one["address"])
    return ""
