"""How fast nodes that are lost may be emptied: one at a time in each zone, slower where much is lost at once.

Input: a node, all nodes, the time. Output: the seconds until the node may be given the taint that evicts. Invariants:
where no node of the cluster is ready, none is emptied (the fault is likely ours); of the nodes of a zone only the one
that was lost first may go next, so that two rounds at once never empty two.
Source: pkg/controller/nodelifecycle (handleDisruption, setLimiterInZone).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum

from knarr.api.registry import NODES
from knarr.api.semantics import conditions, taints
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import STABLE, About, Sample
from knarr.controller_runtime.observing import Look
from knarr.controller_runtime.snapshot import Snapshot

#: Nodes a second that are emptied in a zone, and in one where much is lost.
RATE, SECONDARY_RATE = 0.1, 0.01
#: Nodes of a cluster in which a zone that has lost much is emptied at all.
_LARGE = 50
#: Much is lost when this share of a zone's nodes is not ready, and more than two are.
_UNHEALTHY_SHARE = 0.55
_ZONE, _REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
#: A node with this label does not tell of its zone's health.
_EXCLUDED = "node.kubernetes.io/exclude-disruption"


class State(Enum):
    """How a zone is."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def is_ready(node: Object) -> bool:
    """Whether the node's condition Ready is true."""
    return (conditions.find(node, "Ready") or {}).get("status") == "True"


def zone(node: Object) -> tuple[str, str]:
    """The region and zone of a node."""
    labels = node["metadata"].get("labels") or {}
    return labels.get(_REGION, ""), labels.get(_ZONE, "")


def state(nodes: Sequence[Object]) -> State:
    """The state of a zone with these nodes."""
    told = [is_ready(node) for node in nodes if _EXCLUDED not in (node["metadata"].get("labels") or {})]
    lost = told.count(False)
    if lost and lost == len(told):
        return State.FULL
    return State.PARTIAL if lost > 2 and lost / len(told) >= _UNHEALTHY_SHARE else State.NORMAL


def is_cut_off(nodes: Sequence[Object]) -> bool:
    """Whether every zone is lost."""
    return all(state(members) is State.FULL for members in _zones(nodes).values())


def _zones(nodes: Sequence[Object]) -> dict[tuple[str, str], list[Object]]:
    found: dict[tuple[str, str], list[Object]] = {}
    for node in nodes:
        found.setdefault(zone(node), []).append(node)
    return found


def turn(node: Object, nodes: Sequence[Object], now: datetime) -> float | None:
    """Seconds until a node that is not ready may be emptied; None while its zone is as it is."""
    own = zone(node)
    members = [other for other in nodes if zone(other) == own]
    rate = _rate(members)
    if not rate:
        return None
    waiting = sorted((other for other in members if not is_ready(other) and evicts_since(other) is None), key=_lost)
    names = [other["metadata"]["name"] for other in waiting]
    place = names.index(node["metadata"]["name"]) if node["metadata"]["name"] in names else 0
    last = max((since for other in members if (since := evicts_since(other)) is not None), default=None)
    due = place / rate if last is None else (place + 1) / rate - (now - last).total_seconds()
    return max(due, 0.0) if place == 0 else max(due, 1.0)


def _rate(members: Sequence[Object]) -> float:
    if state(members) is not State.PARTIAL:
        return RATE
    return SECONDARY_RATE if len(members) > _LARGE else 0.0


def _lost(node: Object) -> tuple[str, str]:
    since = (conditions.find(node, "Ready") or {}).get("lastTransitionTime") or ""
    return since, node["metadata"]["name"]


def evicts_since(node: Object) -> datetime | None:
    """When the node was given the taint that evicts for its state; None where it has none."""
    own = (taint for taint in taints.evicting(node) if taint["key"] in (taints.NOT_READY, taints.UNREACHABLE))
    found = next(own, None)
    return None if found is None else timestamps.parse_optional(found.get("timeAdded")) or _EPOCH


_EPOCH = timestamps.parse("1970-01-01T00:00:00Z")


# What metrics tell


def zone_name(node: Object) -> str:
    """A zone as metrics call it: region and zone, with a separator that neither may have."""
    region, name = zone(node)
    return f"{region}:\x00:{name}" if region or name else ""


def _gauge(name: str, text: str, value: Callable[[Sequence[Object]], float]) -> tuple[About, Look]:
    def look(snapshot: Snapshot) -> Iterable[Sample]:
        zones = _zones(snapshot.list(NODES)).values()
        return [((zone_name(members[0]),), value(members)) for members in zones]

    return About(f"node_collector_{name}", text, ("zone",)), look


def _lost_count(members: Sequence[Object]) -> int:
    return sum(not is_ready(node) for node in members)


EVICTIONS = About(
    "node_collector_evictions_total",
    "Number of Node evictions that happened since current instance of NodeController started.",
    ("zone",),
    STABLE,
)
GAUGES = (
    _gauge(
        "zone_health",
        "Gauge measuring percentage of healthy nodes per zone.",
        lambda members: 100 * (1 - _lost_count(members) / len(members)),
    ),
    _gauge("zone_size", "Gauge measuring number of registered Nodes per zones.", len),
    _gauge("unhealthy_nodes_in_zone", "Gauge measuring number of not Ready Nodes per zones.", _lost_count),
)
