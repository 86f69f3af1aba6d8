"""Answers of the cluster's DNS, after the Kubernetes DNS-Based Service Discovery specification 1.1.0.

Input: a question and a `View` of the cluster. Output: a `Reply`, or `None` for a name that is not the cluster's and
must be asked elsewhere. Invariants: every name that exists answers NOERROR for every type (NODATA where it has no
record of it), any other name of the zone NXDOMAIN.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NamedTuple

from knarr.dns.view import EndpointEntry, Key, Port, ServiceEntry, View

VERSION = "1.1.0"
_PRIORITY = 0
_WEIGHTS = 100
#: ExternalNames may point at one another, in a ring even.
_LONGEST_CHAIN = 8


class Record(NamedTuple):
    """One resource record: owner without the final dot, type, and data as in a zone file."""

    name: str
    type: str
    data: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `alias` is a CNAME target outside the cluster that the server may resolve and append."""

    found: bool
    answers: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """The cluster's domain, the address of its DNS Service, and the ranges whose reverse names are ours alone."""

    domain: str = "cluster.local"
    address: str = ""
    ranges: tuple[str, ...] = ()

    @property
    def authority(self) -> Record:
        """The SOA record that goes with negative answers."""
        domain = self.domain
        return Record(domain, "SOA", f"ns.dns.{domain}. hostmaster.{domain}. 1 7200 1800 86400 5")


_NXDOMAIN = Reply(found=False)
_NODATA = Reply(found=True)


def answer(name: str, kind: str, view: View, zone: Zone) -> Reply | None:
    """Answer the question `name` (lower case, no final dot) of type `kind` (`A`, `SRV`, …)."""
    reply = _once(name, kind, view, zone)
    for _ in range(_LONGEST_CHAIN):
        if reply is None or not reply.alias or kind == "CNAME":
            break
        inside = _once(reply.alias, kind, view, zone)
        if inside is None:
            return reply
        reply = Reply(True, reply.answers + inside.answers, inside.additional, inside.alias)
    return Reply(True, reply.answers, reply.additional) if reply and reply.alias else reply


def _once(name: str, kind: str, view: View, zone: Zone) -> Reply | None:
    """The answer for one name, aliases not followed."""
    if name == zone.domain or name.endswith("." + zone.domain):
        labels = name[: -len(zone.domain)].rstrip(".").split(".") if name != zone.domain else []
        return _zone_answer(name, labels, kind, view, zone)
    if name.endswith((".in-addr.arpa", ".ip6.arpa")):
        return _reverse(name, kind, view, zone)
    return None


def _zone_answer(name: str, labels: list[str], kind: str, view: View, zone: Zone) -> Reply:
    if not labels:
        return _apex(name, kind, zone)
    if labels == ["dns-version"]:
        return Reply(True, (Record(name, "TXT", f'"{VERSION}"'),)) if kind in ("TXT", "ANY") else _NODATA
    if labels[-1] == "dns":
        return _name_server(name, labels, kind, zone)
    if labels[-1] == "svc":
        return _service_tree(name, labels[:-1], kind, view, zone)
    if labels[-1] == "pod":
        return _pod_tree(name, labels[:-1], kind, view)
    return _NXDOMAIN


def _apex(name: str, kind: str, zone: Zone) -> Reply:
    if kind == "SOA":
        return Reply(True, (zone.authority,))
    if kind == "NS":
        server = f"ns.dns.{zone.domain}"
        return Reply(True, (Record(name, "NS", server + "."),), _addresses(server, (zone.address,), "ANY"))
    return _NODATA


def _name_server(name: str, labels: list[str], kind: str, zone: Zone) -> Reply:
    if labels == ["dns"]:
        return _NODATA
    if labels == ["ns", "dns"]:
        return Reply(True, _addresses(name, (zone.address,), kind))
    return _NXDOMAIN


def _pod_tree(name: str, labels: list[str], kind: str, view: View) -> Reply:
    """`10-42-0-5.namespace.pod`: the address stands in the name."""
    if not labels:
        return _NODATA
    if not view.has_namespace(labels[-1]) or len(labels) > 2:
        return _NXDOMAIN
    if len(labels) == 1:
        return _NODATA
    address = _address_in(labels[0])
    return Reply(True, _addresses(name, (address,), kind)) if address else _NXDOMAIN


def _address_in(label: str) -> str:
    separator = "." if label.count("-") == 3 and "--" not in label else ":"
    try:
        return str(ipaddress.ip_address(label.replace("-", separator)))
    except ValueError:
        return ""


def _service_tree(name: str, labels: list[str], kind: str, view: View, zone: Zone) -> Reply:
    if not labels:
        return _NODATA
    namespace = labels[-1]
    if not view.has_namespace(namespace):
        return _NXDOMAIN
    if len(labels) == 1:
        return _NODATA
    service = view.service(namespace, labels[-2])
    if service is None or len(labels) > 4:
        return _NXDOMAIN
    owner = f"{labels[-2]}.{namespace}.svc.{zone.domain}"
    if service.external_name:
        alias = Record(name, "CNAME", service.external_name + ".")
        return Reply(True, (alias,), alias=service.external_name) if len(labels) == 2 else _NXDOMAIN
    return _service_names(name, owner, service, (labels[:-2], view.endpoints(namespace, labels[-2])), kind)


def _service_names(
    name: str,
    owner: str,
    service: ServiceEntry,
    parts: tuple[list[str], tuple[EndpointEntry, ...]],
    kind: str,
) -> Reply:
    """The Service's own name and the names below it."""
    below, endpoints = parts
    if len(below) == 1 and not below[0].startswith("_"):
        return _endpoint(name, owner, [one for one in endpoints if one.label == below[0]], kind)
    if any(not label.startswith("_") for label in below):
        return _NXDOMAIN
    if service.headless:
        return _headless(name, owner, endpoints, below, kind)
    return _cluster_ip(name, owner, service, below, kind)


def _wanted(ports: tuple[Port, ...], below: list[str]) -> tuple[Port, ...]:
    """The ports that `_name._protocol` (or `_protocol`, or nothing) names."""
    if not below:
        return ports
    protocol = below[-1][1:]
    name = below[0][1:] if len(below) == 2 else ""
    return tuple(port for port in ports if port.protocol == protocol and (not name or port.name == name))


def _cluster_ip(name: str, owner: str, service: ServiceEntry, below: list[str], kind: str) -> Reply:
    ports = _wanted(service.ports, below)
    if below and not ports:
        return _NXDOMAIN
    if len(below) == 1:
        return _NODATA
    if kind == "SRV":
        records = tuple(Record(name, "SRV", _srv(port, owner, len(ports))) for port in ports)
        return Reply(True, records, _addresses(owner, service.addresses, "ANY"))
    return Reply(True, _addresses(name, service.addresses, kind))


def _headless(name: str, owner: str, endpoints: tuple[EndpointEntry, ...], below: list[str], kind: str) -> Reply:
    wanted = [(one, _wanted(one.ports, below)) for one in endpoints]
    chosen = [(one, ports) for one, ports in wanted if ports or not below]
    if not chosen:
        return _NXDOMAIN
    if len(below) == 1:
        return _NODATA
    if kind == "SRV":
        targets = [(one, port) for one, ports in chosen for port in ports]
        records = dict.fromkeys(
            Record(name, "SRV", _srv(port, f"{one.label}.{owner}", len(targets))) for one, port in targets
        )
        hosts = dict.fromkeys(
            record for one, _ in chosen for record in _addresses(f"{one.label}.{owner}", (one.address,), "ANY")
        )
        return Reply(True, tuple(records), tuple(hosts))
    return Reply(True, _addresses(name, tuple(dict.fromkeys(one.address for one, _ in chosen)), kind))


def _endpoint(name: str, owner: str, endpoints: list[EndpointEntry], kind: str) -> Reply:
    """`hostname.service.namespace.svc`: one endpoint."""
    if not endpoints:
        return _NXDOMAIN
    addresses = tuple(dict.fromkeys(one.address for one in endpoints))
    if kind == "SRV":
        host = f"{endpoints[0].label}.{owner}"
        ports = tuple(dict.fromkeys(port for one in endpoints for port in one.ports))
        records = tuple(Record(name, "SRV", _srv(port, host, len(ports))) for port in ports)
        return Reply(True, records, _addresses(host, addresses, "ANY"))
    return Reply(True, _addresses(name, addresses, kind))


def _srv(port: Port, target: str, count: int) -> str:
    return f"{_PRIORITY} {max(_WEIGHTS // max(count, 1), 1)} {port.port} {target}."


def _addresses(name: str, addresses: tuple[str, ...], kind: str) -> tuple[Record, ...]:
    records = (Record(name, "AAAA" if ":" in address else "A", address) for address in addresses if address)
    return tuple(record for record in records if kind in (record.type, "ANY"))


def _reverse(name: str, kind: str, view: View, zone: Zone) -> Reply | None:
    address = reverse_address(name)
    if not address:
        return None
    targets = [_service_name(key, zone) for key in [view.service_at(address)] if key]
    if not targets:
        targets = [f"{label}.{_service_name(key, zone)}" for key, label in view.endpoints_at(address)]
    if targets:
        records = tuple(Record(name, "PTR", target + ".") for target in targets)
        return Reply(True, records if kind in ("PTR", "ANY") else ())
    return _NXDOMAIN if _ours(address, zone) else None


def _service_name(key: Key, zone: Zone) -> str:
    return f"{key[1]}.{key[0]}.svc.{zone.domain}"


def _ours(address: str, zone: Zone) -> bool:
    """Whether a resolver outside could know nothing of this address."""
    value = ipaddress.ip_address(address)
    return any(value in ipaddress.ip_network(text) for text in zone.ranges)


def reverse_address(name: str) -> str:
    """The address a full `in-addr.arpa` or `ip6.arpa` name stands for; empty if it is none."""
    labels = name.split(".")[:-2]
    labels.reverse()
    try:
        if name.endswith(".in-addr.arpa"):
            return str(ipaddress.IPv4Address(".".join(labels)))
        if len(labels) != 32 or any(len(label) != 1 for label in labels):
            return ""
        digits = "".join(labels)
        return str(ipaddress.IPv6Address(":".join(digits[at : at + 4] for at in range(0, 32, 4))))
    except ValueError:
        return ""
