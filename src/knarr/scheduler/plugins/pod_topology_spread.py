"""PodTopologySpread: spreads like pods over zones, nodes or whatever a label tells apart.

https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from knarr.api.semantics.tolerations import first_untolerated
from knarr.apimachinery import labels
from knarr.apimachinery.types import Object
from knarr.scheduler.framework import (
    MAX_SCORE,
    SKIP,
    Event,
    EventKind,
    PreFilterResult,
    Snapshot,
    Status,
    unresolvable,
    unschedulable,
)
from knarr.scheduler.node_info import HOSTNAME, ZONE, NodeInfo
from knarr.scheduler.pod_info import PodInfo

_TOO_SKEWED = unschedulable("node(s) didn't match pod topology spread constraints")
_NO_LABEL = unresolvable("node(s) didn't match pod topology spread constraints (missing required label)")
_HARD, _SOFT = "DoNotSchedule", "ScheduleAnyway"
#: What holds for pods that say nothing but are selected by a Service or controller: (topology key, max skew).
_SYSTEM_DEFAULTS = ((HOSTNAME, 3), (ZONE, 5))


@dataclass(frozen=True, slots=True)
class _Constraint:
    key: str
    max_skew: int
    selector: labels.Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False

    def includes(self, pod: PodInfo, node: NodeInfo) -> bool:
        """Whether the pods of a node count."""
        if self.honor_affinity and pod.required_nodes is not None and not pod.required_nodes(node.labels, node.name):
            return False
        return not (self.honor_taints and node.taints and first_untolerated(node.taints, pod.tolerations) is not None)

    def like(self, pod: PodInfo, snapshot: Snapshot) -> dict[str, int]:
        """How many like pods the nodes have that have any; those that terminate do not count."""
        counts: dict[str, int] = {}
        for group in snapshot.groups.selected(pod.namespace, self.selector):
            if not group.sample.terminating:
                for name, count in group.nodes.items():
                    counts[name] = counts.get(name, 0) + count
        return counts


class PodTopologySpread:
    """Refuses nodes that would make the spread too uneven; prefers those that make it more even."""

    name = "PodTopologySpread"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Count like pods in every domain, then judge by the node's domains."""
        constraints = _constraints(pod, _HARD)
        if not constraints:
            return SKIP
        counts = _domain_counts(pod, snapshot, constraints)
        judges = [
            _judge(constraint, domains, 1 if constraint.selector.matches(pod.labels) else 0)
            for constraint, domains in zip(constraints, counts, strict=True)
        ]

        def judge(node: NodeInfo) -> Status | None:
            for one in judges:
                status = one(node)
                if status is not None:
                    return status
            return None

        return PreFilterResult(judge)

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """The fewer like pods in the node's domains, the better."""
        own = bool(pod.spec.get("topologySpreadConstraints"))
        constraints = _constraints(pod, _SOFT) if own else _defaults(pod, snapshot)
        if not constraints:
            return None
        keys = [constraint.key for constraint in constraints]
        scored = [not own or all(key in node.labels for key in keys) for node in nodes]
        raw = [0.0] * len(nodes)
        for constraint in constraints:
            candidates = [node for node, takes_part in zip(nodes, scored, strict=True) if takes_part]
            rate = _rating(constraint, pod, snapshot, candidates, keys if own else [])
            raw = [total + (rate(node) if part else 0) for total, node, part in zip(raw, nodes, scored, strict=True)]
        return _normalized([_half_away(total) for total in raw], scored)

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a like pod comes, changes or goes, or nodes of its domains do."""
        constraints = _constraints(pod, _HARD)
        if event.kind in (EventKind.POD_ADD, EventKind.POD_UPDATE, EventKind.POD_DELETE):
            return any(
                constraint.selector.matches(other.labels)
                for other in event.pods
                if other.namespace == pod.namespace
                for constraint in constraints
            )
        if event.kind in (EventKind.NODE_ADD, EventKind.NODE_DELETE):
            return True
        old, new = event.old_node, event.new_node
        if event.kind is not EventKind.NODE_UPDATE or old is None or new is None:
            return False
        return old.labels != new.labels or old.taints != new.taints


def _constraints(pod: PodInfo, action: str) -> list[_Constraint]:
    return [
        _Constraint(
            key=item.get("topologyKey", ""),
            max_skew=item.get("maxSkew", 1),
            selector=_selector(item, pod),
            min_domains=item.get("minDomains") or 1,
            honor_affinity=(item.get("nodeAffinityPolicy") or "Honor") == "Honor",
            honor_taints=item.get("nodeTaintsPolicy") == "Honor",
        )
        for item in pod.spec.get("topologySpreadConstraints") or ()
        if item.get("whenUnsatisfiable") == action
    ]


def _selector(item: Object, pod: PodInfo) -> labels.Selector:
    try:
        selector = labels.from_object(item.get("labelSelector"))
    except ValueError:
        return labels.NOTHING
    own = {key: pod.labels[key] for key in item.get("matchLabelKeys") or () if key in pod.labels}
    if not own or selector.is_nothing:
        return selector
    return labels.Selector((*selector.requirements, *labels.from_set(own).requirements))


def _defaults(pod: PodInfo, snapshot: Snapshot) -> list[_Constraint]:
    selector = snapshot.workloads.selector(pod)
    if selector.is_everything:
        return []
    return [_Constraint(key, skew, selector) for key, skew in _SYSTEM_DEFAULTS]


def _domain_counts(pod: PodInfo, snapshot: Snapshot, constraints: Sequence[_Constraint]) -> list[dict[str, int]]:
    """For each constraint, the number of like pods by domain. Nodes that lack one of the labels do not count."""
    out = []
    for constraint, by_node in zip(constraints, _domains(pod, snapshot, constraints), strict=True):
        counts = dict.fromkeys(by_node.values(), 0)
        for name, count in constraint.like(pod, snapshot).items():
            if name in by_node:
                counts[by_node[name]] += count
        out.append(counts)
    return out


def _domains(pod: PodInfo, snapshot: Snapshot, constraints: Sequence[_Constraint]) -> list[dict[str, str]]:
    """For each constraint, the domains of the nodes that count, by the nodes' names."""
    keys = tuple(constraint.key for constraint in constraints)
    rules = tuple((constraint.honor_affinity, constraint.honor_taints) for constraint in constraints)

    def compute() -> list[dict[str, str]]:
        nodes = [node for node in snapshot.nodes if all(key in node.labels for key in keys)]
        return [{node.name: node.labels[c.key] for node in nodes if c.includes(pod, node)} for c in constraints]

    return snapshot.memo.get(("spread", pod.placement, keys, rules), compute)


def _judge(constraint: _Constraint, domains: Mapping[str, int], own: int) -> Callable[[NodeInfo], Status | None]:
    fewest = min(domains.values(), default=math.inf) if len(domains) >= constraint.min_domains else 0
    key, most = constraint.key, constraint.max_skew + fewest - own

    def judge(node: NodeInfo) -> Status | None:
        value = node.labels.get(key)
        if value is None:
            return _NO_LABEL
        return _TOO_SKEWED if domains.get(value, 0) > most else None

    return judge


def _rating(
    constraint: _Constraint, pod: PodInfo, snapshot: Snapshot, candidates: Sequence[NodeInfo], required: Sequence[str]
) -> Callable[[NodeInfo], float]:
    """How much a node's domain is used already, weighted so that constraints with many domains count more."""
    key, base, like = constraint.key, constraint.max_skew - 1, constraint.like(pod, snapshot)
    if key == HOSTNAME:
        weight = math.log(len(candidates) + 2)
        return lambda node: like.get(node.name, 0) * weight + base if key in node.labels else 0.0
    domains = {node.labels.get(key, ""): 0 for node in candidates}
    by_name = snapshot.nodes_by_name
    for name, count in like.items():
        node = by_name[name]
        value = node.labels.get(key, "")
        if node.obj is not None and value in domains and all(each in node.labels for each in required):
            domains[value] += count if constraint.includes(pod, node) else 0
    scale = math.log(len(domains) + 2)
    return lambda node: domains[node.labels[key]] * scale + base if key in node.labels else 0.0


def _half_away(number: float) -> int:
    return math.floor(number + 0.5)


def _normalized(scores: Sequence[int], scored: Sequence[bool]) -> list[int]:
    taking_part = [score for score, part in zip(scores, scored, strict=True) if part]
    highest, lowest = max(taking_part, default=0), min(taking_part, default=0)
    out = []
    for score, part in zip(scores, scored, strict=True):
        if not part:
            out.append(0)
        elif highest == 0:
            out.append(MAX_SCORE)
        else:
            out.append(MAX_SCORE * (highest + lowest - score) // highest)
    return out
