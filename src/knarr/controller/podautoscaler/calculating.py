"""From use and targets to a number of pods. Pure; values in thousandths.

Source of the rules and texts: pkg/controller/podautoscaler (replica_calculator.go, metrics/utilization.go).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from knarr.api.semantics import pod_state
from knarr.apimachinery import quantity, timestamps
from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler.settings import Settings, Tolerances

_MOST = 2**31 - 1


class MetricError(Exception):
    """A metric gives no number of pods; the text says why, as conditions and events show it."""


class Measured(NamedTuple):
    """What one pod uses, over the `window` (seconds) up to `at`."""

    value: int
    at: datetime
    window: float


class Proposal(NamedTuple):
    """A number of pods, and what was measured for it: average use, and in percent of what pods ask for."""

    replicas: int
    usage: int
    utilization: int | None = None


@dataclass(frozen=True, slots=True)
class Scaled:
    """What is scaled: its pods, how many it shall have and has, and by which rules."""

    pods: Sequence[Object]
    replicas: int
    observed: int
    tolerances: Tolerances
    settings: Settings
    now: datetime


class Groups(NamedTuple):
    """Pods by what their figures are worth."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def by_utilization(
    scaled: Scaled, measured: Mapping[str, Measured], percent: int, resource: str, container: str = ""
) -> Proposal:
    """So many that they use `percent` of what they ask for. Raises `MetricError`."""
    if not scaled.pods:
        raise MetricError("No pods returned by selector while calculating replica count")
    groups, values = _counted(scaled, measured, resource)
    requests = {pod["metadata"]["name"]: request(pod, resource, container) for pod in scaled.pods}
    ratio, utilization, usage = _utilization(values, requests, percent)

    def again(filled: Mapping[str, int]) -> float:
        return _utilization(filled, requests, percent)[0]

    # Whoever tells nothing is taken to use what makes the change smaller.
    full = max(100, percent)
    missing = _Missing({name: _divided(requests[name] * full, 100) for name in groups.missing}, none_at_target=True)
    return Proposal(_settled(scaled, groups, values, ratio, missing, again), usage, utilization)


def by_average(scaled: Scaled, measured: Mapping[str, Measured], target: int, resource: str = "") -> Proposal:
    """So many that each uses `target`. Raises `MetricError`."""
    if not scaled.pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    groups, values = _counted(scaled, measured, resource)
    usage = _average(values)

    def again(filled: Mapping[str, int]) -> float:
        return _average(filled) / target

    missing = _Missing(dict.fromkeys(groups.missing, target), none_at_target=False)
    return Proposal(_settled(scaled, groups, values, usage / target, missing, again), usage)


def by_total(scaled: Scaled, usage: int, target: int) -> Proposal:
    """So many that what they cause together is `target`. Raises `MetricError`."""
    ratio = usage / target
    if scaled.replicas == 0:
        return Proposal(_up(ratio), usage)
    if scaled.tolerances.allow(ratio):
        return Proposal(scaled.replicas, usage)
    if not scaled.pods:
        why = "no pods returned by selector while calculating replica count"
        raise MetricError(f"unable to calculate ready pods: {why}")
    ready = sum(pod_state.phase(pod) == "Running" and pod_state.is_ready(pod) for pod in scaled.pods)
    return Proposal(_up(ratio * ready), usage)


def by_share(scaled: Scaled, usage: int, target: int) -> Proposal:
    """So many that the share of each is `target`; the usage of the proposal is the present share."""
    replicas = scaled.observed
    if not replicas:
        return Proposal(_up(usage / target), usage)
    proposed = replicas if scaled.tolerances.allow(usage / (target * replicas)) else _up(usage / target)
    return Proposal(proposed, math.ceil(usage / replicas))


def request(pod: Object, resource: str, container: str = "") -> int:
    """What a pod, or a container of it, asks for. Raises `MetricError` where a container asks for nothing."""
    spec = pod["spec"]
    whole = ((spec.get("resources") or {}).get("requests") or {}).get(resource)
    if whole is not None and not container:
        return quantity.parse(whole).milli()
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    total = 0
    for one in (*(spec.get("containers") or ()), *sidecars):
        if container in ("", one["name"]):
            asked = ((one.get("resources") or {}).get("requests") or {}).get(resource)
            if asked is None:
                name = pod["metadata"]["name"]
                raise MetricError(f"missing request for {resource} in container {one['name']} of Pod {name}")
            total += quantity.parse(asked).milli()
    return total


class _Missing(NamedTuple):
    """What pods that tell nothing are taken to use while others use too little.

    `none_at_target`: they are left out where use is exactly at the target.
    """

    values: Mapping[str, int]
    none_at_target: bool


def _settled(  # noqa: PLR0913 - the rule has as many parts
    scaled: Scaled,
    groups: Groups,
    values: MutableMapping[str, int],
    ratio: float,
    missing: _Missing,
    again: Callable[[Mapping[str, int]], float],
) -> int:
    """The number of pods for a ratio of use to target; a change must not turn round by what is only assumed."""
    up_despite_unready = bool(groups.unready) and ratio > 1.0
    if not up_despite_unready and not groups.missing:
        return scaled.replicas if scaled.tolerances.allow(ratio) else _up(ratio * groups.ready)
    if ratio < 1.0:
        values.update(missing.values)
    elif ratio > 1.0 or not missing.none_at_target:
        values.update(dict.fromkeys(groups.missing, 0))
    if up_despite_unready:
        values.update(dict.fromkeys(groups.unready, 0))
    found = again(values)
    if scaled.tolerances.allow(found) or (ratio < 1.0 < found) or (found < 1.0 < ratio):
        return scaled.replicas
    replicas = _up(found * len(values))
    turned = (found < 1.0 and replicas > scaled.replicas) or (found > 1.0 and replicas < scaled.replicas)
    return scaled.replicas if turned else replicas


def _counted(scaled: Scaled, measured: Mapping[str, Measured], resource: str) -> tuple[Groups, dict[str, int]]:
    """Pods by groups, and the figures that count. Raises `MetricError`."""
    groups = grouped(scaled, measured, resource)
    left_out = groups.ignored | groups.unready
    values = {name: one.value for name, one in measured.items() if name not in left_out}
    if not values:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    return groups, values


def grouped(scaled: Scaled, measured: Mapping[str, Measured], resource: str) -> Groups:
    """Pods by what their figures are worth."""
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in scaled.pods:
        name = pod["metadata"]["name"]
        phase = pod_state.phase(pod)
        if pod["metadata"].get("deletionTimestamp") or phase == "Failed":
            ignored.add(name)
        elif phase == "Pending":
            unready.add(name)
        elif name not in measured:
            missing.add(name)
        elif resource == "cpu" and _is_starting(pod, measured[name], scaled.settings, scaled.now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _is_starting(pod: Object, measured: Measured, settings: Settings, now: datetime) -> bool:
    """Whether a pod's CPU says nothing yet of what it will use."""
    condition = pod_state.ready_condition(pod)
    started = timestamps.parse_optional((pod.get("status") or {}).get("startTime"))
    changed = timestamps.parse_optional((condition or {}).get("lastTransitionTime"))
    if condition is None or started is None:
        return True
    unready = condition.get("status") == "False"
    if (now - started).total_seconds() < settings.cpu_initialization:
        return unready or (changed is not None and (measured.at - changed).total_seconds() < measured.window)
    return unready and (changed is None or (changed - started).total_seconds() < settings.initial_readiness)


def _utilization(values: Mapping[str, int], requests: Mapping[str, int], percent: int) -> tuple[float, int, int]:
    known = [name for name in values if name in requests]
    total, asked = sum(values[name] for name in known), sum(requests[name] for name in known)
    if not asked:
        raise MetricError("no metrics returned matched known pods")
    utilization = _divided(total * 100, asked)
    return utilization / percent, utilization, _divided(total, len(known))


def _average(values: Mapping[str, int]) -> int:
    return _divided(sum(values.values()), len(values))


def _divided(value: int, by: int) -> int:
    """As Go divides integers: towards zero."""
    return value // by if value >= 0 else -(-value // by)


def _up(value: float) -> int:
    return min(math.ceil(value), _MOST)
