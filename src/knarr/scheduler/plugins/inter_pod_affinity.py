"""InterPodAffinity: pods that want to be near, or far from, other pods.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from knarr.api.semantics.affinity import PodTerm, WeightedPodTerm
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
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_groups import PodGroup
from knarr.scheduler.pod_info import PodInfo

_FAR = unresolvable("node(s) didn't match pod affinity rules")
_NEAR = unschedulable("node(s) didn't match pod anti-affinity rules")
_UNWANTED = unschedulable("node(s) didn't satisfy existing pods anti-affinity rules")
#: What the required affinity of a running pod counts towards a pod it wants near.
_HARD_WEIGHT = 1

#: A number for each (topology key, value).
_Counts: TypeAlias = dict[tuple[str, str], int]
_NamespaceLabels: TypeAlias = Callable[[str], Mapping[str, str]]


class InterPodAffinity:
    """Refuses nodes by required terms, of the pod and of those that run; prefers by preferred terms."""

    name = "InterPodAffinity"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Count by topology what the terms mean, then judge by the node's labels."""
        unwanted = _unwanted(pod, snapshot)
        near, far = pod.affinity_terms, pod.anti_affinity_terms
        if not (unwanted or near or far):
            return SKIP
        near_counts, far_counts = _near_counts(pod, snapshot), _far_counts(pod, snapshot)
        far_keys, unwanted_keys = {key for key, _ in far_counts}, {key for key, _ in unwanted}
        first_of_kind = not near_counts and all(_means(term, pod, snapshot.namespace_labels) for term in near)

        def judge(node: NodeInfo) -> Status | None:
            on = node.labels
            if near and not _near_enough(near, near_counts, on, first_of_kind):
                return _FAR
            if far_counts and _meets(far_counts, far_keys, on):
                return _NEAR
            return _UNWANTED if unwanted and _meets(unwanted, unwanted_keys, on) else None

        return PreFilterResult(judge)

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """The weights of all preferred terms that meet in the node's domains."""
        counts: _Counts = {}
        for sign, terms in ((1, pod.preferred_affinity), (-1, pod.preferred_anti_affinity)):
            for weight, term in terms:
                for group in snapshot.groups.meant(term, snapshot.namespace_labels):
                    _add(counts, term.topology_key, group, snapshot, sign * weight)
        for group in snapshot.groups.with_affinity.values():
            for weight, term in _offered(group.sample):
                if _means(term, pod, snapshot.namespace_labels):
                    _add(counts, term.topology_key, group, snapshot, weight)
        if not counts:
            return None
        keys = {key for key, _ in counts}
        raw = [sum(counts.get((key, node.labels[key]), 0) for key in keys if key in node.labels) for node in nodes]
        lowest, highest = min(raw), max(raw)
        if lowest == highest:
            return [0] * len(raw)
        return [int(MAX_SCORE * ((value - lowest) / (highest - lowest))) for value in raw]

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a pod that counts comes, changes or goes, or a node comes or changes its labels."""
        if event.kind in (EventKind.NODE_ADD, EventKind.NAMESPACE):
            return True
        if event.kind is EventKind.NODE_UPDATE:
            return event.old_node is None or event.new_node is None or event.old_node.labels != event.new_node.labels
        if event.kind is EventKind.POD_ADD:
            return any(_may_mean(pod.affinity_terms, other) for other in event.pods)
        if event.kind not in (EventKind.POD_UPDATE, EventKind.POD_DELETE):
            return False
        wanted = (*pod.affinity_terms, *pod.anti_affinity_terms)
        return any(_may_mean(wanted, other) or _may_mean(other.anti_affinity_terms, pod) for other in event.pods)


def _means(term: PodTerm, pod: PodInfo, namespace_labels: _NamespaceLabels) -> bool:
    """Whether a term means a pod."""
    return term.matches(pod.namespace, pod.labels, namespace_labels(pod.namespace))


def _unwanted(pod: PodInfo, snapshot: Snapshot) -> _Counts:
    """Where running pods do not want this one."""
    counts: _Counts = {}
    for group in snapshot.groups.with_anti_affinity.values():
        for term in group.sample.anti_affinity_terms:
            if _means(term, pod, snapshot.namespace_labels):
                _add(counts, term.topology_key, group, snapshot, 1)
    return counts


def _near_counts(pod: PodInfo, snapshot: Snapshot) -> _Counts:
    """Where the pods are that all terms of the pod's affinity mean."""
    counts: _Counts = {}
    first, *others = pod.affinity_terms or (None,)
    for group in snapshot.groups.meant(first, snapshot.namespace_labels) if first else ():
        if all(_means(term, group.sample, snapshot.namespace_labels) for term in others):
            for term in pod.affinity_terms:
                _add(counts, term.topology_key, group, snapshot, 1)
    return counts


def _far_counts(pod: PodInfo, snapshot: Snapshot) -> _Counts:
    """Where pods are that a term of the pod's anti-affinity means."""
    counts: _Counts = {}
    for term in pod.anti_affinity_terms:
        for group in snapshot.groups.meant(term, snapshot.namespace_labels):
            _add(counts, term.topology_key, group, snapshot, 1)
    return counts


def _meets(counts: _Counts, keys: Iterable[str], on: Mapping[str, str]) -> bool:
    """Whether a node with these labels is in a domain that was counted."""
    return any(key in on and (key, on[key]) in counts for key in keys)


def _near_enough(terms: Sequence[PodTerm], counts: _Counts, on: Mapping[str, str], first_of_kind: bool) -> bool:  # noqa: FBT001
    """Whether all terms are met here; the first pod of its kind may go wherever the labels are."""
    if not all(term.topology_key in on for term in terms):
        return False
    return first_of_kind or all(counts.get((term.topology_key, on[term.topology_key]), 0) for term in terms)


def _offered(other: PodInfo) -> Iterator[WeightedPodTerm]:
    """What a running pod wants of those that come, with the weights of its domains for a pod that it means."""
    yield from other.preferred_affinity
    for weight, term in other.preferred_anti_affinity:
        yield WeightedPodTerm(-weight, term)
    for term in other.affinity_terms:
        yield WeightedPodTerm(_HARD_WEIGHT, term)


def _add(counts: _Counts, key: str, group: PodGroup, snapshot: Snapshot, weight: int) -> None:
    """Add a weight for each pod of a group to the domain of its node."""
    nodes = snapshot.nodes_by_name
    for name, count in group.nodes.items():
        node = nodes[name]
        value = node.labels.get(key)
        if value is not None and node.obj is not None:
            counts[key, value] = counts.get((key, value), 0) + weight * count


def _may_mean(terms: Sequence[PodTerm], pod: PodInfo) -> bool:
    """Whether a term may mean a pod whose namespace's labels are not at hand."""
    return any(
        term.selector.matches(pod.labels)
        and (pod.namespace in term.namespaces or not term.namespace_selector.is_nothing)
        for term in terms
    )
