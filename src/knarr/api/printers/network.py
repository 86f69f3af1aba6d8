"""Rows of the network's kinds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from knarr.api.printers.text import NONE, UNSET, age, joined, selector
from knarr.apimachinery.types import Object

#: Of ports and endpoints that many are shown before the rest is counted.
_SHOWN = 3


def endpoint_slice(obj: Object, now: datetime) -> list[Any]:
    """Name, address type, ports, endpoints, age."""
    ports = [_port(one) for one in obj.get("ports") or ()]
    addresses = [address for one in obj.get("endpoints") or () for address in one.get("addresses") or ()]
    shown = _some(ports), _some(addresses)
    return [obj["metadata"]["name"], obj.get("addressType", ""), *shown, age(obj, now)]


def _port(one: Object) -> str:
    return str(one["port"]) if one.get("port") is not None else str(one.get("name", "*"))


def _some(values: list[str]) -> str:
    more, shown = len(values) - _SHOWN, ",".join(values[:_SHOWN])
    return f"{shown} + {more} more..." if more > 0 else shown or UNSET


def ingress(obj: Object, now: datetime) -> list[Any]:
    """Name, class, hosts, addresses, ports, age."""
    spec = obj.get("spec") or {}
    points = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    addresses = sorted({one.get("ip") or one.get("hostname") or "" for one in points} - {""})
    ports = "80, 443" if spec.get("tls") else "80"
    shown = [spec.get("ingressClassName") or NONE, _hosts(spec), joined(addresses, ""), ports]
    return [obj["metadata"]["name"], *shown, age(obj, now)]


def _hosts(spec: Object) -> str:
    """The first hosts. Once they are shown, every further rule counts as one more, with a host or without."""
    rules = spec.get("rules") or ()
    numbered = [(number, rule["host"]) for number, rule in enumerate(rules) if rule.get("host")][:_SHOWN]
    shown = joined((host for _, host in numbered), "*")
    cut = len(numbered) == _SHOWN and numbered[-1][0] < len(rules) - 1
    return f"{shown} + {len(rules) - _SHOWN} more..." if cut else shown


def ingress_class(obj: Object, now: datetime) -> list[Any]:
    """Name, controller, parameters, age."""
    spec = obj.get("spec") or {}
    reference, shown = spec.get("parameters"), NONE
    if reference:
        group = reference.get("apiGroup")
        shown = f"{reference['kind']}{'.' + group if group else ''}/{reference['name']}"
    return [obj["metadata"]["name"], spec.get("controller", ""), shown, age(obj, now)]


def network_policy(obj: Object, now: datetime) -> list[Any]:
    """Name, pod selector, age."""
    return [obj["metadata"]["name"], selector((obj.get("spec") or {}).get("podSelector")), age(obj, now)]


def ip_address(obj: Object, now: datetime) -> list[Any]:
    """Name, parent, age."""
    parent = (obj.get("spec") or {}).get("parentRef")
    return [obj["metadata"]["name"], NONE if parent is None else _parent(parent), age(obj, now)]


def _parent(parent: Object) -> str:
    """`services/default/web`."""
    parts = (parent.get("resource"), parent.get("group"))
    kind = ".".join(part for part in parts if part).lower()
    return "/".join(part for part in (kind, parent.get("namespace"), parent.get("name")) if part)


def service_cidr(obj: Object, now: datetime) -> list[Any]:
    """Name, ranges, age."""
    return [obj["metadata"]["name"], joined((obj.get("spec") or {}).get("cidrs") or (), ""), age(obj, now)]
