"""A pod's effective resource requests and limits.

Amounts are integers: millicores for `cpu`, units (bytes, counts) for everything else, rounded up.
https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object

Amounts: TypeAlias = dict[str, int]

#: What scoring takes for a container that requests nothing: 100m and 200 MiB.
NOMINAL: Mapping[str, int] = {"cpu": 100, "memory": 200 * 1024 * 1024}
#: The resources a pod may request as a whole, hugepages aside.
_POD_LEVEL = ("cpu", "memory")


def amount(resource: str, value: object) -> int:
    """A quantity of a resource as an integer. Raises `ValueError`."""
    parsed = quantity.from_json(value)
    return parsed.milli() if resource == "cpu" else parsed.value()


def amounts(listed: Mapping[str, object] | None) -> Amounts:
    """A `ResourceList` as integers. Raises `ValueError`."""
    return {resource: amount(resource, value) for resource, value in (listed or {}).items()}


def effective_requests(pod: Object, *, nominal: bool = False) -> Amounts:
    """What a pod requests from its node: containers together, or the largest step of its init containers, and overhead.

    With `nominal`, containers that request no cpu or memory count with `NOMINAL`. A running container that is being
    resized counts with the larger of what it asks and what it was given.
    """
    spec = pod.get("spec") or {}
    given = _given(pod.get("status") or {})

    def of(container: Object) -> Amounts:
        asked = amounts((container.get("resources") or {}).get("requests"))
        for allocated in given.get(container.get("name", ""), ()):
            _raise_to(asked, allocated)
        return {**NOMINAL, **asked} if nominal else asked

    total = _aggregate(spec, of)
    for resource, value in amounts((spec.get("resources") or {}).get("requests")).items():
        if resource in _POD_LEVEL or resource.startswith("hugepages-"):
            total[resource] = value
    _add(total, amounts(spec.get("overhead")))
    return total


def effective_limits(pod: Object) -> Amounts:
    """What a pod may use at most, as far as its containers say."""
    spec = pod.get("spec") or {}
    total = _aggregate(spec, lambda container: amounts((container.get("resources") or {}).get("limits")))
    total.update(amounts((spec.get("resources") or {}).get("limits")))
    for resource, value in amounts(spec.get("overhead")).items():
        if resource in total:
            total[resource] += value
    return total


def _given(status: Object) -> dict[str, list[Amounts]]:
    """What the kubelet has granted, container by container."""
    out: dict[str, list[Amounts]] = {}
    for state in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        granted = [state.get("allocatedResources"), (state.get("resources") or {}).get("requests")]
        if any(granted):
            out[state.get("name", "")] = [amounts(listed) for listed in granted if listed]
    return out


def _aggregate(spec: Object, of: Callable[[Object], Amounts]) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, of(container))
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in spec.get("initContainers") or ():
        step = of(container)
        if container.get("restartPolicy") == "Always":
            _add(total, step)
            _add(sidecars, step)
            step = dict(sidecars)
        else:
            _add(step, sidecars)
        _raise_to(largest, step)
    _raise_to(total, largest)
    return total


def _add(total: Amounts, more: Mapping[str, int]) -> None:
    for resource, value in more.items():
        total[resource] = total.get(resource, 0) + value


def _raise_to(total: Amounts, other: Mapping[str, int]) -> None:
    for resource, value in other.items():
        total[resource] = max(total.get(resource, 0), value)


def host_ports(spec: Object) -> Iterable[tuple[str, str, int]]:
    """(address, protocol, port) of every port a pod takes on its node; the address `0.0.0.0` is every address."""
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            if number := port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", number
