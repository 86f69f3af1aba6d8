"""NodeAffinity: node selector, required and preferred node affinity."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.semantics import affinity
from knarr.scheduler.framework import (
    SKIP,
    Event,
    EventKind,
    PreFilterResult,
    Snapshot,
    Status,
    normalized,
    unresolvable,
)
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo

_REFUSED = unresolvable("node(s) didn't match Pod's node affinity/selector")
_CONFLICT = unresolvable("pod affinity terms conflict")


class NodeAffinity:
    """Refuses nodes the pod does not select; prefers those its preferred terms mean."""

    name = "NodeAffinity"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Judge by the node's labels; when the terms name nodes, look at those only."""
        match = pod.required_nodes
        if match is None:
            return SKIP

        def judge(node: NodeInfo) -> Status | None:
            return None if match(node.labels, node.name) else _REFUSED

        names = affinity.required_node_names(pod.spec)
        if names is not None and not names:
            return PreFilterResult(rejection=_CONFLICT)
        return PreFilterResult(judge, names, static=True)

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """The sum of the weights of the preferred terms that match."""
        terms = affinity.preferred_nodes(pod.spec)
        if not terms:
            return None
        return normalized([sum(w for w, match in terms if match(node.labels, node.name)) for node in nodes])

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a node comes, or changes, that the pod selects."""
        old, new, match = event.old_node, event.new_node, pod.required_nodes
        if event.kind not in (EventKind.NODE_ADD, EventKind.NODE_UPDATE) or new is None or match is None:
            return False
        if not match(new.labels, new.name):
            return False
        return old is None or not match(old.labels, old.name)
