"""Which UDP flows the kernel still sends to an endpoint that is gone.

Input: tracked flows and the ports served. Output: the flows to forget. A UDP client that keeps its source port stays
on its old translation for as long as it sends, so a flow whose endpoint left (or that began before there was one)
must be taken out of the kernel's table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from knarr.proxy.services import ServicePort

Target = tuple[str, int]


class Flow(NamedTuple):
    """A tracked UDP flow: who asked whom, and who answers."""

    source: Target
    destination: Target
    answers: Target


class Destinations(NamedTuple):
    """UDP destinations and the endpoints each may use: by address and port, and by node port."""

    addresses: dict[Target, frozenset[Target]]
    node_ports: dict[int, frozenset[Target]]


def destinations(ports: Iterable[ServicePort]) -> Destinations:
    """The UDP destinations of all Services."""
    out = Destinations({}, {})
    for port in ports:
        if port.protocol != "udp":
            continue
        endpoints = frozenset((one.ip, one.port) for one in (*port.cluster, *port.local))
        for address in (port.cluster_ip, *port.external_ips, *port.balancer_ips):
            out.addresses[(address, port.port)] = endpoints
        if port.node_port:
            out.node_ports[port.node_port] = endpoints
    return out


def stale(flows: Iterable[Flow], served: Destinations) -> list[Flow]:
    """The flows that reach no current endpoint of the destination they were sent to."""
    return [flow for flow in flows if _is_stale(flow, served)]


def _is_stale(flow: Flow, served: Destinations) -> bool:
    endpoints = served.addresses.get(flow.destination)
    if endpoints is not None:
        return flow.answers not in endpoints
    # A flow to a foreign host may bear the same port number: only translated ones can be ours.
    by_port = served.node_ports.get(flow.destination[1])
    return by_port is not None and flow.answers != flow.destination and flow.answers not in by_port
