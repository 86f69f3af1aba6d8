"""Subsets of Endpoints in their canonical form: the ports that a set of addresses has in common, sorted.

Source: k8s.io/kubernetes/pkg/api/v1/endpoints (RepackSubsets).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from knarr.apimachinery.types import Object

Port: TypeAlias = tuple[tuple[str, Any], ...]
Identity: TypeAlias = tuple[str, str]
_FIELDS = ("addresses", "notReadyAddresses")


@dataclass(frozen=True, slots=True)
class Placed:
    """One address with one port, ready or not."""

    address: Object
    ready: bool
    port: Port | None


def port(name: str, number: int, protocol: str, app_protocol: str = "") -> Port:
    """A port of Endpoints; empty names are left out."""
    found = {"name": name, "port": number, "protocol": protocol, "appProtocol": app_protocol}
    return tuple((field, value) for field, value in found.items() if value)


def subsets(placed: Iterable[Placed]) -> list[Object]:
    """The canonical subsets."""
    ports: dict[Identity, set[Port]] = {}
    known: dict[Identity, tuple[Object, bool]] = {}
    for item in placed:
        identity = _identity(item.address)
        before = known.get(identity)
        known[identity] = (item.address, item.ready and (before is None or before[1]))
        ports.setdefault(identity, set()).update(() if item.port is None else (item.port,))
    grouped: dict[tuple[Port, ...], list[Identity]] = {}
    for identity, found in ports.items():
        grouped.setdefault(tuple(sorted(found, key=_port_order)), []).append(identity)
    return [_subset(list(common), sorted(members), known) for common, members in sorted(grouped.items(), key=_order)]


def within(subsets: list[Object], limit: int) -> list[Object]:
    """At most so many addresses, ready ones first; of each subset in proportion."""
    ready, unready = (sum(len(item.get(name) or ()) for item in subsets) for name in _FIELDS)
    if ready + unready <= limit:
        return subsets
    field, room = (_FIELDS[0], limit) if ready > limit else (_FIELDS[1], limit - ready)
    total, left = (ready if ready > limit else unready), room
    kept = []
    for item in subsets:
        addresses = item.get(field) or ()
        share = min(-(-len(addresses) * room // total), left)
        left -= len(addresses[:share])
        dropped = _FIELDS if field == _FIELDS[0] else (field,)
        found = {name: value for name, value in item.items() if name not in dropped}
        kept.append({**found, field: list(addresses[:share])} if share and addresses else found)
    return kept


def _subset(common: list[Port], members: list[Identity], known: dict[Identity, tuple[Object, bool]]) -> Object:
    subset: Object = {}
    for field, wanted in zip(_FIELDS, (True, False), strict=True):
        found = [known[member][0] for member in members if known[member][1] is wanted]
        if found:
            subset[field] = found
    if common:
        subset["ports"] = [dict(item) for item in common]
    return subset


def _identity(address: Object) -> Identity:
    return address["ip"], (address.get("targetRef") or {}).get("uid", "")


def _port_order(item: Port) -> tuple[str, str, int]:
    found = dict(item)
    return found.get("name", ""), found.get("protocol", ""), found.get("port", 0)


def _order(entry: tuple[tuple[Port, ...], list[Identity]]) -> list[tuple[str, str, int]]:
    return [_port_order(item) for item in entry[0]]
