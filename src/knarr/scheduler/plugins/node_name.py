"""NodeName: a pod that names its node goes there only."""

from __future__ import annotations

from knarr.scheduler.framework import SKIP, Event, EventKind, PreFilterResult, Snapshot, Status, unresolvable
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo

_REFUSED = unresolvable("node(s) didn't match the requested node name")


class NodeName:
    """Refuses all nodes but the one in `spec.nodeName`."""

    name = "NodeName"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Judge by the node's name."""
        wanted = pod.node_name
        if not wanted:
            return SKIP

        def judge(node: NodeInfo) -> Status | None:
            return None if node.name == wanted else _REFUSED

        return PreFilterResult(judge, static=True)

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a node is added."""
        return event.kind is EventKind.NODE_ADD
