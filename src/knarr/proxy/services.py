"""What a node's proxy serves: Services and EndpointSlices reduced to ports, frontends and usable endpoints.

Input: Service and EndpointSlice objects and where the node stands. Output: `ServicePort` values.
Invariant: pure; the order of endpoints depends on nothing but the endpoints themselves.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from knarr.apimachinery.types import Object

#: Services and slices with this label belong to another proxy.
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
#: The Service an EndpointSlice belongs to.
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
#: Slices of headless Services are for DNS alone.
HEADLESS_LABEL = "service.kubernetes.io/headless"

DEFAULT_AFFINITY_SECONDS = 10800


class Endpoint(NamedTuple):
    """One backend: address, port, and whether it runs on this node."""

    ip: str
    port: int
    local: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where the proxy runs: node name and the node's zone (topology label), empty when unknown."""

    node: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service in one IP family, with the endpoints that may receive its traffic.

    `cluster` holds the endpoints for traffic that may go anywhere, `local` those for policy `Local`. `any_endpoint`
    says whether there is an endpoint at all: without one traffic is refused, else with no local one it is dropped.
    """

    name: str
    protocol: str
    port: int
    cluster_ip: str
    external_ips: tuple[str, ...]
    balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    node_port: int
    affinity_seconds: int
    internal_local: bool
    external_local: bool
    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    any_endpoint: bool


class _Backend(NamedTuple):
    ip: str
    port: int
    node: str
    ready: bool
    draining: bool
    zones: tuple[str, ...] | None
    nodes: tuple[str, ...] | None


def served(service: Object) -> bool:
    """Whether this proxy has anything to do for a Service."""
    spec = service.get("spec", {})
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        return False
    return PROXY_NAME_LABEL not in (service["metadata"].get("labels") or {})


def service_key(endpoint_slice: Object) -> tuple[str, str] | None:
    """(namespace, name) of the Service a slice belongs to; `None` if the proxy ignores the slice."""
    meta = endpoint_slice["metadata"]
    labels = meta.get("labels") or {}
    name = labels.get(SERVICE_NAME_LABEL)
    if not name or PROXY_NAME_LABEL in labels or HEADLESS_LABEL in labels:
        return None
    return meta.get("namespace", ""), name


def service_ports(
    service: Object, slices: Sequence[Object], place: Place, *, ipv6: bool = False
) -> tuple[ServicePort, ...]:
    """The ports of one Service in one family; empty if it has no address in that family."""
    if not served(service):
        return ()
    spec = service["spec"]
    cluster_ip = next(iter(_family(spec.get("clusterIPs") or [spec["clusterIP"]], ipv6=ipv6)), "")
    if not cluster_ip:
        return ()
    kind = "IPv6" if ipv6 else "IPv4"
    wanted = [part for part in slices if part.get("addressType") == kind]
    return tuple(_service_port(service, port, cluster_ip, wanted, place) for port in spec.get("ports") or ())


def _family(addresses: Iterable[str], *, ipv6: bool) -> tuple[str, ...]:
    version = 6 if ipv6 else 4
    return tuple(text for text in addresses if ipaddress.ip_address(text).version == version)


def _service_port(
    service: Object, port: Object, cluster_ip: str, slices: Sequence[Object], place: Place
) -> ServicePort:
    spec, meta = service["spec"], service["metadata"]
    ipv6 = ":" in cluster_ip
    protocol = port.get("protocol", "TCP")
    everyone = _backends(slices, port.get("name", ""), protocol)
    internal_local = spec.get("internalTrafficPolicy") == "Local"
    external_local = spec.get("externalTrafficPolicy") == "Local"
    cluster = _cluster_endpoints(everyone, place)
    local = _local_endpoints(everyone, place) if internal_local or external_local else ()
    ranges = tuple(text.strip() for text in spec.get("loadBalancerSourceRanges") or ())
    return ServicePort(
        name=f"{meta.get('namespace', '')}/{meta['name']}:{port.get('name', '')}",
        protocol=protocol.lower(),
        port=port["port"],
        cluster_ip=cluster_ip,
        external_ips=_family(spec.get("externalIPs") or (), ipv6=ipv6),
        balancer_ips=_balancer_ips(service, ipv6=ipv6),
        source_ranges=tuple(sorted(text for text in ranges if (":" in text) == ipv6)),
        node_port=port.get("nodePort", 0) if spec.get("type") in ("NodePort", "LoadBalancer") else 0,
        affinity_seconds=_affinity(spec),
        internal_local=internal_local,
        external_local=external_local,
        cluster=_endpoints(cluster, place),
        local=_endpoints(local, place),
        any_endpoint=any(one.ready or one.draining for one in everyone),
    )


def _affinity(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(client.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)


def _balancer_ips(service: Object, *, ipv6: bool) -> tuple[str, ...]:
    if service["spec"].get("type") != "LoadBalancer":
        return ()
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return _family((one["ip"] for one in ingress if one.get("ip") and one.get("ipMode", "VIP") == "VIP"), ipv6=ipv6)


def _backends(slices: Sequence[Object], name: str, protocol: str) -> Sequence[_Backend]:
    """Every endpoint behind a port, each address and port once, in a stable order."""
    found: dict[tuple[str, int], _Backend] = {}
    for part in slices:
        for port in part.get("ports") or ():
            if port.get("port") is None or (port.get("name") or "") != name:
                continue
            if port.get("protocol", "TCP") != protocol:
                continue
            for endpoint in part.get("endpoints") or ():
                one = _backend(endpoint, port["port"])
                key = (one.ip, one.port)
                # Two slices may hold the same endpoint while it moves between them: the usable one counts.
                if key not in found or (one.ready and not found[key].ready):
                    found[key] = one
    return [found[key] for key in sorted(found)]


def _backend(endpoint: Object, port: int) -> _Backend:
    conditions = endpoint.get("conditions") or {}
    hints = endpoint.get("hints") or {}
    ready = conditions.get("ready")
    serving = conditions.get("serving")
    usable = True if ready is None else bool(ready)
    zones, nodes = hints.get("forZones"), hints.get("forNodes")
    return _Backend(
        ip=endpoint["addresses"][0],
        port=port,
        node=endpoint.get("nodeName") or "",
        ready=usable,
        draining=(serving is None or bool(serving)) and bool(conditions.get("terminating")),
        zones=tuple(one["name"] for one in zones) if zones else None,
        nodes=tuple(one["name"] for one in nodes) if nodes else None,
    )


def _cluster_endpoints(everyone: Sequence[_Backend], place: Place) -> Sequence[_Backend]:
    """Ready endpoints, narrowed by topology hints; without any, those that still serve while they terminate."""
    ready = [one for one in everyone if one.ready]
    return _near(ready, place) if ready else [one for one in everyone if one.draining]


def _near(ready: Sequence[_Backend], place: Place) -> Sequence[_Backend]:
    """Hints count only when every ready endpoint carries them and one of them names this node or zone."""
    if all(one.nodes is not None for one in ready):
        near = [one for one in ready if place.node in (one.nodes or ())]
        if near:
            return near
    if place.zone and all(one.zones is not None for one in ready):
        near = [one for one in ready if place.zone in (one.zones or ())]
        if near:
            return near
    return ready


def _local_endpoints(everyone: Sequence[_Backend], place: Place) -> Sequence[_Backend]:
    here = [one for one in everyone if one.node == place.node]
    return [one for one in here if one.ready] or [one for one in here if one.draining]


def _endpoints(backends: Iterable[_Backend], place: Place) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(one.ip, one.port, one.node == place.node) for one in backends)
