"""Zones that endpoints are meant for, where a Service asks for it by `service.kubernetes.io/topology-mode: Auto`.

Input: a plan of slices, the slices it leaves alone, the nodes. Output: hints in the plan's slices, so that every zone
has endpoints in the proportion of its CPUs; or none, and an event that says why. Invariants: slices whose hints are
still good are not touched; no endpoint bears more than 20 % over its share.
Source: k8s.io/endpointslice/topologycache.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from knarr.api.semantics import conditions, slice_plan
from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import EventNote

_MODE, _OLDER = "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"
_ZONE = "topology.kubernetes.io/zone"
_EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_OVERLOAD = 0.2
_NODES = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
_FEW = "Insufficient number of endpoints"
_UNEVEN = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
_NO_ZONE = "One or more endpoints do not have a zone specified"
_NONE = "No hints allocated for zones"


class Share(NamedTuple):
    """How many endpoints a zone should have."""

    desired: float
    maximum: int


class _Impossible(Exception):
    """There can be no hints; its text says why."""


@dataclass(slots=True)
class _Hinting:
    """The slices of a Service and address type."""

    plan: slice_plan.Plan
    untouched: list[Object]
    zones: Counter[str] = field(default_factory=Counter)

    @property
    def written(self) -> list[Object]:
        """The slices that are written."""
        return [*self.plan.create, *self.plan.update]


def is_asked(service: Object) -> bool:
    """Whether a Service asks for hints."""
    notes = service["metadata"].get("annotations") or {}
    return notes.get(_OLDER, notes.get(_MODE)) in ("Auto", "auto")


def has_hints(slices: Iterable[Object]) -> bool:
    """Whether any endpoint has a hint."""
    return any(endpoint.get("hints") for item in slices for endpoint in item["endpoints"] or ())


def with_hints_of(existing: Sequence[Object], desired: Mapping[slice_plan.Ports, list[Object]]) -> None:
    """Give endpoints the hints they have now, so that what stays as it is is not written."""
    known = {slice_plan.identity(item): item.get("hints") for one in existing for item in one["endpoints"] or ()}
    for endpoints in desired.values():
        for endpoint in endpoints:
            hints = known.get(slice_plan.identity(endpoint))
            if hints and endpoint["conditions"]["ready"]:
                endpoint["hints"] = hints


def apply(
    plan: slice_plan.Plan, existing: Sequence[Object], nodes: Iterable[Object], service: Object
) -> tuple[EventNote, ...]:
    """Put hints into the plan, or take them away; what is to be told of it."""
    touched = {item["metadata"]["name"] for item in (*plan.update, *plan.delete)}
    hinting = _Hinting(plan, [item for item in existing if item["metadata"]["name"] not in touched])
    family = existing[0]["addressType"] if existing else next((item["addressType"] for item in plan.create), "")
    try:
        shares = _shares(cpu_ratios(nodes), sum(_ready_count(item) for item in (*hinting.written, *hinting.untouched)))
        _hint(hinting, shares)
    except _Impossible as why:
        _clear(hinting)
        plan.update = [item for item in plan.update if item not in existing]
        return (_note(service, "Warning", "Disabled", str(why), family),)
    if has_hints(existing):
        return ()
    return (_note(service, "Normal", "Enabled", "Topology Aware Hints has been enabled", family),)


def disabled(service: Object, address_type: str) -> EventNote:
    """What is told when a Service does not ask for hints any more."""
    return _note(service, "Warning", "Disabled", "Topology Aware Hints has been disabled", address_type)


def _note(service: Object, kind: str, what: str, text: str, family: str) -> EventNote:
    return EventNote(service, kind, f"TopologyAwareHints{what}", f"{text}, addressType: {family}")


# Shares


def weight(node: Object | None) -> tuple[str, int] | None:
    """A node's zone and CPUs (millicores), either may be missing; None for a node that does not count."""
    labels = (node or {"metadata": {}})["metadata"].get("labels") or {}
    if node is None or any(label in labels for label in _EXCLUDED) or not _is_ready(node):
        return None
    cpus = ((node.get("status") or {}).get("allocatable") or {}).get("cpu", "0")
    return labels.get(_ZONE, ""), quantity.parse(cpus).milli()


def cpu_ratios(nodes: Iterable[Object]) -> dict[str, float]:
    """The share that each zone has of the CPUs of all ready nodes; empty where not all of them tell."""
    zones: dict[str, int] = {}
    for zone, cpus in filter(None, map(weight, nodes)):
        if not zone or not cpus:
            return {}
        zones[zone] = zones.get(zone, 0) + cpus
    total = sum(zones.values())
    return {zone: cpus / total for zone, cpus in sorted(zones.items())} if len(zones) > 1 else {}


def _is_ready(node: Object) -> bool:
    return (conditions.find(node, "Ready") or {}).get("status") == "True"


def _shares(ratios: Mapping[str, float], endpoints: int) -> dict[str, Share]:
    """Raises `_Impossible`."""
    if not ratios:
        raise _Impossible(_NODES)
    counts = f"({endpoints} endpoints, {len(ratios)} zones)"
    if len(ratios) > endpoints:
        raise _Impossible(f"{_FEW} {counts}")
    least = {zone: math.ceil(ratio * endpoints / (1 + _OVERLOAD)) for zone, ratio in ratios.items()}
    spare = endpoints - sum(least.values())
    if spare < 0:
        raise _Impossible(f"{_UNEVEN} {counts}")
    return {zone: Share(max(ratios[zone] * endpoints, low), low + spare) for zone, low in least.items()}


# Hints


def _ready(item: Object) -> list[Object]:
    return [endpoint for endpoint in item["endpoints"] or () if endpoint["conditions"].get("ready")]


def _ready_count(item: Object) -> int:
    return len(_ready(item))


def _hint(hinting: _Hinting, shares: Mapping[str, Share]) -> None:
    """Raises `_Impossible`."""
    _keep_good(hinting, shares)
    for item in hinting.written:
        item["endpoints"] = [dict(endpoint) for endpoint in item["endpoints"]]
        for endpoint in _ready(item):
            if not endpoint.get("zone"):
                raise _Impossible(_NO_ZONE)
            hinting.zones[endpoint["zone"]] += 1
            endpoint["hints"] = _for(endpoint["zone"])
    if not hinting.zones:
        raise _Impossible(_NONE)
    _redistribute(hinting.written, *_exchange(shares, hinting.zones))


def _for(zone: str) -> Object:
    return {"forZones": [{"name": zone}]}


def _keep_good(hinting: _Hinting, shares: Mapping[str, Share]) -> None:
    """Count the hints of slices that may stay; the others are written anew."""
    kept = []
    for item in hinting.untouched:
        found = _hints_of(item, shares)
        if found is None or any(count + hinting.zones[zone] > shares[zone].maximum for zone, count in found.items()):
            hinting.plan.update.append(dict(item))
        else:
            kept.append(item)
            hinting.zones.update(found)
    hinting.untouched = kept


def _hints_of(item: Object, shares: Mapping[str, Share]) -> Counter[str] | None:
    """How many endpoints are meant for each zone; None where one has no hint, or one for a zone that needs none."""
    found: Counter[str] = Counter()
    for endpoint in _ready(item):
        zones = [zone["name"] for zone in (endpoint.get("hints") or {}).get("forZones") or ()]
        if not zones or any(zone not in shares for zone in zones):
            return None
        found.update(zones)
    return found


def _exchange(shares: Mapping[str, Share], zones: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """How many endpoints each zone should give to others, and get from them."""
    gaps = {zone: zones[zone] - share.desired for zone, share in shares.items()}
    giving, getting = Counter[str](), Counter[str]()
    while True:
        most = max(gaps, key=lambda zone: (gaps[zone], zone))
        least = min(gaps, key=lambda zone: (gaps[zone], zone))
        give, need = gaps[most], -gaps[least]
        if (give < 1.0 and need < 1.0) or give < 0.5 or need < 0.5:
            return giving, getting
        giving[most] += 1
        getting[least] += 1
        gaps[most] -= 1
        gaps[least] += 1


def _redistribute(slices: Iterable[Object], giving: Counter[str], getting: Counter[str]) -> None:
    for item in slices:
        for endpoint in _ready(item):
            target = next((zone for zone in sorted(getting) if getting[zone]), None)
            if target is None:
                return
            if giving[endpoint["zone"]]:
                giving[endpoint["zone"]] -= 1
                getting[target] -= 1
                endpoint["hints"] = _for(target)


def _clear(hinting: _Hinting) -> None:
    for item in hinting.untouched:
        if has_hints([item]):
            hinting.plan.update.append(dict(item))
    for item in hinting.written:
        item["endpoints"] = [
            {name: value for name, value in endpoint.items() if name != "hints"} for endpoint in item["endpoints"]
        ]
