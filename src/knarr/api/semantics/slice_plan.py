"""How endpoints are spread over EndpointSlices with the fewest writes.

Input: the slices there are and the endpoints there should be, of one Service and address type, by ports. Output: slices
to create, update and delete. Invariants: no slice holds more than the limit; a slice whose content stays is not
touched; a slice about to be deleted is reused before one is created.
Source: k8s.io/endpointslice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from knarr.apimachinery.types import Object

#: Endpoints in a slice.
LIMIT = 100
Ports: TypeAlias = tuple[tuple[tuple[str, Any], ...], ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What all slices of a Service have in common; `prefix` begins their names."""

    address_type: str
    prefix: str
    meta: Mapping[str, Any]
    #: Endpoints in a slice, at most.
    limit: int = LIMIT


@dataclass(slots=True)
class Plan:
    """Slices to write. Created ones have no name yet."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def ports_key(ports: Iterable[Object] | None) -> Ports:
    """What makes the ports of two slices the same."""
    return tuple(sorted(tuple(sorted(port.items())) for port in ports or ()))


def identity(endpoint: Object) -> object:
    """What makes two endpoints the same, though their conditions differ."""
    target = endpoint.get("targetRef") or {}
    named = (target.get("kind"), target.get("namespace"), target.get("name"), target.get("uid"))
    return (tuple(endpoint["addresses"]), endpoint.get("hostname"), endpoint.get("nodeName"), named)


def plan(head: Head, existing: Sequence[Object], desired: Mapping[Ports, Sequence[Object]]) -> Plan:
    """What to write."""
    result = Plan()
    by_ports: dict[Ports, list[Object]] = {}
    for item in existing:
        by_ports.setdefault(ports_key(item.get("ports")), []).append(item)
    for ports, endpoints in desired.items():
        _fill(head, by_ports.pop(ports, []), ports, endpoints, result)
    for unused in by_ports.values():
        result.delete += unused
    if len(result.delete) == len(existing) and not result.create:
        _keep_one(head, result)
    _reuse(result)
    return result


def _fill(head: Head, slices: Sequence[Object], ports: Ports, endpoints: Sequence[Object], result: Plan) -> None:
    wanted = {identity(endpoint): endpoint for endpoint in endpoints}
    kept, changed = [], []
    for item in slices:
        staying = [wanted.pop(identity(old)) for old in item["endpoints"] or () if identity(old) in wanted]
        if not staying:
            result.delete.append(item)
        elif staying != (item["endpoints"] or []):
            changed.append(_with(head, item, staying))
        else:
            kept.append(item)
    left = list(wanted.values())
    for item in sorted(changed, key=lambda one: -len(one["endpoints"])):
        room = head.limit - len(item["endpoints"])
        item["endpoints"] += left[:room]
        left = left[room:]
    result.update += changed
    _place(head, kept, ports, left, result)
    result.update += [_with(head, item, item["endpoints"]) for item in kept if _differs(head, item)]


def _place(head: Head, kept: list[Object], ports: Ports, left: list[Object], result: Plan) -> None:
    """Put what is left into an untouched slice that has room for all of it, or into new ones."""
    while left:
        fitting = [item for item in kept if len(item["endpoints"]) + len(left) <= head.limit]
        if len(left) < head.limit and fitting:
            fullest = max(fitting, key=lambda item: len(item["endpoints"]))
            kept.remove(fullest)
            result.update.append(_with(head, fullest, [*fullest["endpoints"], *left]))
            return
        result.create.append(_new(head, ports, left[: head.limit]))
        left = left[head.limit :]


def _keep_one(head: Head, result: Plan) -> None:
    """A Service always has a slice, if an empty one."""
    empty = [item for item in result.delete if not item["endpoints"] and not item.get("ports")]
    if len(result.delete) == 1 and empty and not _differs(head, empty[0]):
        result.delete.clear()
    else:
        result.create.append(_new(head, (), []))


def _reuse(result: Plan) -> None:
    while result.create and result.delete:
        created, reused = result.create.pop(), result.delete.pop(0)
        result.update.append({**reused, **created, "metadata": {**reused["metadata"], **created["metadata"]}})


def _new(head: Head, ports: Ports, endpoints: Sequence[Object]) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": dict(head.meta),
        "addressType": head.address_type,
        "endpoints": list(endpoints),
        "ports": [dict(port) for port in ports],
    }


def _with(head: Head, item: Object, endpoints: Sequence[Object]) -> Object:
    return {**item, "metadata": {**item["metadata"], **head.meta}, "endpoints": list(endpoints)}


def _differs(head: Head, item: Object) -> bool:
    return any((item["metadata"].get(name) or {}) != (value or {}) for name, value in head.meta.items())
