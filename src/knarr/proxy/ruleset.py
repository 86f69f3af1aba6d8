"""The nftables ruleset of one node: Services as map elements under a handful of fixed chains.

Input: `ServicePort` values and the node's `Layout`. Output: a `Ruleset`, a model of one nftables table.
A plain port costs no chain of its own: a verdict map names the chain for a destination (`cluster-tcp-3` when it has
three endpoints), that chain draws a number and a second map turns destination and number into an endpoint. Only ports
with client affinity or source ranges have chains. Invariants: the same input gives the same ruleset; of two Services
that claim one destination the first by name has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from knarr.proxy.services import Endpoint, ServicePort

TABLE = "knarr-proxy"
#: Set on packets that must leave with the node's address; cleared again in postrouting.
MASQUERADE_MARK = "0x4000"

SERVICE_IPS = "service-ips"
LOCAL_SERVICE_IPS = "local-service-ips"
NODE_PORTS = "node-ports"
LOCAL_NODE_PORTS = "local-node-ports"
ENDPOINTS = "endpoints"
LOCAL_ENDPOINTS = "local-endpoints"
NODE_PORT_ENDPOINTS = "node-port-endpoints"
LOCAL_NODE_PORT_ENDPOINTS = "local-node-port-endpoints"
NO_ENDPOINTS = "no-endpoints"
NO_ENDPOINT_NODE_PORTS = "no-endpoint-node-ports"
CLUSTER_IPS = "cluster-ips"
FIREWALL = "firewall"
HAIRPIN = "hairpin"


@dataclass(frozen=True, slots=True)
class Layout:
    """The node's addresses: pod and Service ranges, and Service addresses that the node itself answers (DNS)."""

    cluster_cidr: str = ""
    service_cidr: str = ""
    own_service_ips: tuple[str, ...] = ()
    ipv6: bool = False

    @property
    def family(self) -> str:
        """The name nftables has for the table's family and for its header."""
        return "ip6" if self.ipv6 else "ip"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: its hook declaration (empty for one that is only jumped to) and its rules."""

    hook: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """One table. `sets` holds declarations of sets and maps, `elements` their static content (value "" in sets)."""

    family: str
    chains: Mapping[str, Chain]
    sets: Mapping[str, str]
    elements: Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class Part:
    """What one Service adds to the ruleset."""

    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    elements: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Way:
    """One way traffic comes in: which endpoints it may reach and whether it keeps its source address."""

    name: str
    endpoints: str
    masquerade: str
    node_port: bool


_CLUSTER = _Way("cluster", ENDPOINTS, "outsiders", node_port=False)
_EXTERNAL = _Way("external", ENDPOINTS, "always", node_port=False)
_LOCAL = _Way("local", LOCAL_ENDPOINTS, "never", node_port=False)
_INTERNAL = _Way("internal", ENDPOINTS, "outsiders", node_port=False)
_NODE = _Way("node", NODE_PORT_ENDPOINTS, "always", node_port=True)
_NODE_SHORT = _Way("node-short", NODE_PORT_ENDPOINTS, "outsiders", node_port=True)
_NODE_LOCAL = _Way("node-local", LOCAL_NODE_PORT_ENDPOINTS, "never", node_port=True)
_WAYS = {way.name: way for way in (_CLUSTER, _EXTERNAL, _LOCAL, _NODE, _NODE_SHORT, _NODE_LOCAL)}


def build(parts: Iterable[Part], layout: Layout) -> Ruleset:
    """Put the parts of all Services (ordered by name) into one table."""
    sets = _declarations(layout)
    chains = _fixed_chains(layout)
    elements: dict[str, dict[str, str]] = {name: {} for name in sets}
    # The endpoint elements of a destination belong to whoever has the destination.
    for part in parts:
        for container, key, value in part.elements:
            elements[container].setdefault(key, value)
        chains.update(part.chains)
        sets.update(part.sets)
        elements.update({name: {} for name in part.sets})
    for container in (SERVICE_IPS, LOCAL_SERVICE_IPS, NODE_PORTS, LOCAL_NODE_PORTS):
        for verdict in elements[container].values():
            name = verdict.removeprefix("goto ")
            if name not in chains:
                chains[name] = _draw(name, layout)
    return Ruleset(layout.family, chains, sets, elements)


def service_part(ports: Iterable[ServicePort], layout: Layout) -> Part:
    """What the ports of one Service add."""
    part = Part()
    for port in ports:
        if port.cluster_ip not in layout.own_service_ips:
            _Writer(part, port, layout).write()
    return part


class _Writer:
    """Adds one port to a part."""

    def __init__(self, part: Part, port: ServicePort, layout: Layout) -> None:
        self._part = part
        self._port = port
        self._layout = layout
        digest = hashlib.blake2s(f"{port.name}/{port.protocol}/{port.affinity_seconds}".encode(), digest_size=6)
        self._hash = digest.hexdigest()

    def write(self) -> None:
        port = self._port
        for endpoint in {*port.cluster, *port.local}:
            if endpoint.local:
                self._element(HAIRPIN, f"{endpoint.ip} . {endpoint.ip}")
        self._element(CLUSTER_IPS, port.cluster_ip)
        self._cluster_ip()
        for address in (*port.external_ips, *port.balancer_ips):
            self._external(self._key(address))
        for address in port.balancer_ips if port.source_ranges else ():
            self._firewall(address)
        if port.node_port:
            self._node_port()

    def _key(self, address: str) -> str:
        return f"{address} . {self._port.protocol} . {self._port.port}"

    def _element(self, container: str, key: str, value: str = "") -> None:
        self._part.elements.append((container, key, value))

    def _refusal(self) -> str:
        return "goto drop-it" if self._port.any_endpoint else "goto refuse"

    def _cluster_ip(self) -> None:
        port, key = self._port, self._key(self._port.cluster_ip)
        endpoints = port.local if port.internal_local else port.cluster
        if endpoints:
            self._target(SERVICE_IPS, key, _INTERNAL if port.internal_local else _CLUSTER, endpoints)
        else:
            self._element(NO_ENDPOINTS, key, self._refusal())

    def _external(self, key: str) -> None:
        port = self._port
        if port.cluster:
            self._target(SERVICE_IPS, key, _CLUSTER if port.external_local else _EXTERNAL, port.cluster)
        if port.external_local:
            self._target(LOCAL_SERVICE_IPS, key, _LOCAL, port.local)
        if not (port.local if port.external_local else port.cluster):
            self._element(NO_ENDPOINTS, key, self._refusal())

    def _node_port(self) -> None:
        port = self._port
        key = f"{port.protocol} . {port.node_port}"
        if port.cluster:
            self._target(NODE_PORTS, key, _NODE_SHORT if port.external_local else _NODE, port.cluster)
        if port.external_local:
            self._target(LOCAL_NODE_PORTS, key, _NODE_LOCAL, port.local)
        if not (port.local if port.external_local else port.cluster):
            self._element(NO_ENDPOINT_NODE_PORTS, key, self._refusal())

    def _firewall(self, address: str) -> None:
        name = f"firewall-{self._hash}"
        ranges = ", ".join(self._port.source_ranges)
        rules = (f"{self._layout.family} saddr {{ {ranges} }} return", "drop")
        self._part.chains[name] = Chain("", rules)
        self._element(FIREWALL, self._key(address), f"goto {name}")

    def _target(self, container: str, key: str, way: _Way, endpoints: Sequence[Endpoint]) -> None:
        if not endpoints:
            # Outsiders must not fall through to what pods may use; the filter then drops or refuses the packet.
            self._element(container, key, "goto leave")
            return
        if self._port.affinity_seconds:
            self._element(container, key, f"goto {self._sticky(way, endpoints)}")
            return
        name, protocol = _CLUSTER.name if way is _INTERNAL else way.name, self._port.protocol
        self._element(container, key, f"goto {name}-{protocol}-{len(endpoints)}")
        # The maps are per protocol, so their keys go without it.
        prefix = key.replace(f"{protocol} . ", "")
        for number, endpoint in enumerate(endpoints):
            self._element(f"{way.endpoints}-{protocol}", f"{prefix} . {number}", f"{endpoint.ip} . {endpoint.port}")

    def _sticky(self, way: _Way, endpoints: Sequence[Endpoint]) -> str:
        """Chains that send a known client to its endpoint and note who went where."""
        name = f"sticky-{self._hash}-{way.name}"
        targets = [self._sticky_endpoint(endpoint) for endpoint in endpoints]
        saddr = f"{self._layout.family} saddr"
        verdicts = ", ".join(f"{number} : goto to-{target}" for number, target in enumerate(targets))
        rules = (
            *_masquerade(way, self._layout),
            *(f"{saddr} @seen-{target} goto to-{target}" for target in targets),
            f"numgen random mod {len(targets)} vmap {{ {verdicts} }}",
        )
        self._part.chains[name] = Chain("", rules)
        return name

    def _sticky_endpoint(self, endpoint: Endpoint) -> str:
        port, family = self._port, self._layout.family
        name = f"{self._hash}-{endpoint.ip.replace(':', '_')}-{endpoint.port}"
        address_type = "ipv6_addr" if self._layout.ipv6 else "ipv4_addr"
        self._part.sets[f"seen-{name}"] = (
            f"set {{ type {address_type}; flags dynamic,timeout; timeout {port.affinity_seconds}s; }}"
        )
        address = f"[{endpoint.ip}]" if self._layout.ipv6 else endpoint.ip
        rules = (
            f"update @seen-{name} {{ {family} saddr }}",
            f"meta l4proto {port.protocol} dnat to {address}:{endpoint.port}",
        )
        self._part.chains[f"to-{name}"] = Chain("", rules)
        return name


def _masquerade(way: _Way, layout: Layout) -> tuple[str, ...]:
    if way.masquerade == "always":
        return ("jump mark-masquerade",)
    if way.masquerade == "outsiders" and layout.cluster_cidr:
        return (f"{layout.family} saddr != {layout.cluster_cidr} jump mark-masquerade",)
    return ()


def _draw(name: str, layout: Layout) -> Chain:
    """The chain `way-protocol-N`: draws one of N endpoints."""
    way_name, protocol, count = name.rsplit("-", 2)
    way = _WAYS[way_name]
    family = layout.family
    key = f"{protocol} dport . numgen random mod {count}"
    if not way.node_port:
        key = f"{family} daddr . {key}"
    return Chain("", (*_masquerade(way, layout), f"dnat {family} to {key} map @{way.endpoints}-{protocol}"))


def _declarations(layout: Layout) -> dict[str, str]:
    address = "ipv6_addr" if layout.ipv6 else "ipv4_addr"
    family = layout.family
    by_address = f"map {{ type {address} . inet_proto . inet_service : verdict; }}"
    by_port = "map { type inet_proto . inet_service : verdict; }"
    return {
        SERVICE_IPS: by_address,
        LOCAL_SERVICE_IPS: by_address,
        NODE_PORTS: by_port,
        LOCAL_NODE_PORTS: by_port,
        NO_ENDPOINTS: by_address,
        NO_ENDPOINT_NODE_PORTS: by_port,
        CLUSTER_IPS: f"set {{ type {address}; }}",
        FIREWALL: by_address,
        HAIRPIN: f"set {{ type {address} . {address}; }}",
        **_endpoint_maps(family),
    }


def _endpoint_maps(family: str) -> dict[str, str]:
    """The maps that turn a destination and a drawn number into an endpoint.

    `typeof` is how the number becomes a part of a key. nft ties a rule to the protocol named there, hence one map
    for each protocol (`th dport` would not be tied, but nft 1.0.6 cannot read such a map back).
    """
    maps = {}
    for protocol in ("tcp", "udp", "sctp"):
        tail = f"{protocol} dport . numgen random mod 65536 : {family} daddr . {protocol} dport"
        for name in (ENDPOINTS, LOCAL_ENDPOINTS):
            maps[f"{name}-{protocol}"] = f"map {{ typeof {family} daddr . {tail}; }}"
        for name in (NODE_PORT_ENDPOINTS, LOCAL_NODE_PORT_ENDPOINTS):
            maps[f"{name}-{protocol}"] = f"map {{ typeof {tail}; }}"
    return maps


def _fixed_chains(layout: Layout) -> dict[str, Chain]:
    family = layout.family
    destination = f"{family} daddr . meta l4proto . th dport"
    loopback = "::1" if layout.ipv6 else "127.0.0.0/8"
    to_node = f"fib daddr type local {family} daddr != {loopback}"
    from_outside = "fib saddr type != local "
    if layout.cluster_cidr:
        from_outside = f"{family} saddr != {layout.cluster_cidr} {from_outside}"
    own = tuple(f"{family} daddr {address} return" for address in layout.own_service_ips)
    range_drop = (f"{family} daddr {layout.service_cidr} drop",) if layout.service_cidr else ()
    return {
        "services": Chain(
            "",
            (
                *own,
                f"{from_outside}{destination} vmap @{LOCAL_SERVICE_IPS}",
                f"{destination} vmap @{SERVICE_IPS}",
                f"{to_node} jump node-ports",
            ),
        ),
        "node-ports": Chain(
            "",
            (
                f"{from_outside}meta l4proto . th dport vmap @{LOCAL_NODE_PORTS}",
                f"meta l4proto . th dport vmap @{NODE_PORTS}",
            ),
        ),
        "mark-masquerade": Chain("", (f"meta mark set meta mark or {MASQUERADE_MARK}",)),
        "leave": Chain("", ()),
        # A reset, unlike an ICMP error, is never held back by the kernel's rate limit.
        "refuse": Chain("", ("meta l4proto tcp reject with tcp reset", "reject")),
        "drop-it": Chain("", ("drop",)),
        "check-service": Chain("", (f"{destination} vmap @{NO_ENDPOINTS}",)),
        "check-cluster-ip": Chain("", (*own, f"{family} daddr @{CLUSTER_IPS} goto refuse", *range_drop)),
        "check-firewall": Chain("", (f"{destination} vmap @{FIREWALL}",)),
        **_hooks(family, destination, to_node),
    }


def _hooks(family: str, destination: str, to_node: str) -> dict[str, Chain]:
    mark = MASQUERADE_MARK
    return {
        "nat-prerouting": Chain("type nat hook prerouting priority -100;", ("jump services",)),
        "nat-output": Chain("type nat hook output priority -100;", ("jump services",)),
        "nat-postrouting": Chain(
            "type nat hook postrouting priority 100;",
            (
                f"meta mark and {mark} == {mark} meta mark set meta mark xor {mark} masquerade fully-random",
                f"ct status dnat {family} saddr . {family} daddr @{HAIRPIN} masquerade fully-random",
            ),
        ),
        "filter-prerouting": Chain("type filter hook prerouting priority -110;", ("ct state new jump check-firewall",)),
        "filter-input": Chain(
            "type filter hook input priority 0;",
            (
                f"ct state new {to_node} meta l4proto . th dport vmap @{NO_ENDPOINT_NODE_PORTS}",
                "ct state new jump check-service",
            ),
        ),
        "filter-forward": Chain(
            "type filter hook forward priority 0;",
            ("ct state new jump check-service", "ct state new jump check-cluster-ip"),
        ),
        "filter-output": Chain(
            "type filter hook output priority 0;",
            ("ct state new jump check-service", "ct state new jump check-cluster-ip"),
        ),
    }
