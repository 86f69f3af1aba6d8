"""A pod's quality of service: what the node may take from it when resources run out.

https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
"""

from __future__ import annotations

from typing import TypeAlias

from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object

_COUNTED = ("cpu", "memory")
#: In billionths, the finest there are.
_Amounts: TypeAlias = dict[str, int]
_FINEST = 9


def qos_class(spec: Object) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`, from the pod's spec."""
    requests: _Amounts = {}
    limits: _Amounts = {}
    guaranteed = True
    for resources in _resources(spec):
        _add(requests, resources.get("requests"))
        found = _add(limits, resources.get("limits"))
        guaranteed = guaranteed and found == len(_COUNTED)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _resources(spec: Object) -> list[Object]:
    """What counts: the pod's own resources where it has them, else those of its containers."""
    own = spec.get("resources") or {}
    if any(
        name in _COUNTED or name.startswith("hugepages-")
        for kind in ("requests", "limits")
        for name in own.get(kind) or ()
    ):
        return [own]
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return [container.get("resources") or {} for container in containers]


def _add(total: _Amounts, listed: Object | None) -> int:
    """Add the positive amounts that count; how many there were."""
    found = 0
    for name in _COUNTED:
        if listed and name in listed:
            amount = quantity.parse(listed[name])
            if amount.sign > 0:
                total[name] = total.get(name, 0) + amount.mantissa * int(10 ** (amount.exponent + _FINEST))
                found += 1
    return found
