"""NodeUnschedulable: keeps pods from cordoned nodes."""

from __future__ import annotations

from knarr.api.semantics.tolerations import NO_SCHEDULE, tolerated
from knarr.scheduler.framework import SKIP, Event, EventKind, PreFilterResult, Snapshot, Status, unresolvable
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo

_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": NO_SCHEDULE}
_REFUSED = unresolvable("node(s) were unschedulable")


class NodeUnschedulable:
    """Refuses nodes with `spec.unschedulable`, unless the pod tolerates the taint that goes with it."""

    name = "NodeUnschedulable"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Judge by the node alone."""
        return SKIP if tolerated(_TAINT, pod.tolerations) else PreFilterResult(_judge, static=True)

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a node comes that can be used, or is uncordoned."""
        old, new = event.old_node, event.new_node
        if event.kind not in (EventKind.NODE_ADD, EventKind.NODE_UPDATE) or new is None or new.unschedulable:
            return False
        return old is None or old.unschedulable


def _judge(node: NodeInfo) -> Status | None:
    return _REFUSED if node.unschedulable else None
