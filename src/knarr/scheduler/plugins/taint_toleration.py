"""TaintToleration: taints keep pods away, strictly (`NoSchedule`, `NoExecute`) or by preference."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.semantics.tolerations import PREFER_NO_SCHEDULE, first_untolerated, tolerated
from knarr.scheduler.framework import (
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

_REFUSED = unresolvable("node(s) had untolerated taint(s)")


class TaintToleration:
    """Refuses nodes with a taint the pod does not tolerate; prefers those with few soft ones."""

    name = "TaintToleration"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Judge by the node's taints."""
        tolerations = pod.tolerations

        def judge(node: NodeInfo) -> Status | None:
            if node.taints and first_untolerated(node.taints, tolerations) is not None:
                return _REFUSED
            return None

        return PreFilterResult(judge, static=True)

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """The fewer soft taints the pod does not tolerate, the better."""
        if not any(node.soft_taints for node in nodes):
            return None
        tolerations = [t for t in pod.tolerations if (t.get("effect") or PREFER_NO_SCHEDULE) == PREFER_NO_SCHEDULE]
        counts = [sum(not tolerated(taint, tolerations) for taint in node.soft_taints) for node in nodes]
        return normalized(counts, reverse=True)

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a node comes, or changes, whose taints the pod tolerates."""
        old, new = event.old_node, event.new_node
        if event.kind not in (EventKind.NODE_ADD, EventKind.NODE_UPDATE) or new is None:
            return False
        if first_untolerated(new.taints, pod.tolerations) is not None:
            return False
        return old is None or first_untolerated(old.taints, pod.tolerations) is not None
