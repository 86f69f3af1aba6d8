"""What a pod requests and may use as a whole, completed from its containers.

Only for pods that say something of it themselves.
https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/2837-pod-level-resource-spec
"""

from __future__ import annotations

from typing import TypeAlias

from knarr.apimachinery import quantity
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object

_Amounts: TypeAlias = dict[str, Quantity]


def complete(spec: Object) -> None:
    """Fill in huge-page limits, then requests, of the pod."""
    resources = spec.get("resources")
    if not resources:
        return
    if resources.get("limits") or resources.get("requests"):
        _huge_page_limits(spec, resources)
    if resources.get("limits"):
        _requests(spec, resources)


def _huge_page_limits(spec: Object, resources: Object) -> None:
    requested = resources.get("requests") or {}
    for name, amount in _total(spec, "limits").items():
        if _is_huge_page(name) and name not in requested:
            resources.setdefault("limits", {}).setdefault(name, str(amount))


def _requests(spec: Object, resources: Object) -> None:
    requests = dict(resources.get("requests") or {})
    for name, amount in _total(spec, "requests").items():
        if name in ("cpu", "memory"):
            requests.setdefault(name, str(amount))
    for name, limit in resources["limits"].items():
        if name in ("cpu", "memory") or _is_huge_page(name):
            requests.setdefault(name, limit)
    if requests:
        resources["requests"] = requests


def _is_huge_page(name: str) -> bool:
    return name.startswith("hugepages-")


def _total(spec: Object, kind: str) -> _Amounts:
    """Containers together, or the largest step of the init containers, as the node must have it."""
    total: _Amounts = {}
    for item in spec.get("containers") or ():
        _add(total, _amounts(item, kind))
    sidecars: _Amounts = {}
    step: _Amounts = {}
    for item in spec.get("initContainers", ()):
        amounts = _amounts(item, kind)
        if item.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(sidecars, amounts)
            amounts = dict(sidecars)
        else:
            _add(amounts, sidecars)
        _raise_to(step, amounts)
    _raise_to(total, step)
    return total


def _amounts(item: Object, kind: str) -> _Amounts:
    return {name: quantity.parse(amount) for name, amount in (item["resources"].get(kind) or {}).items()}


def _add(total: _Amounts, more: _Amounts) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def _raise_to(total: _Amounts, other: _Amounts) -> None:
    for name, amount in other.items():
        if name not in total or total[name] < amount:
            total[name] = amount
