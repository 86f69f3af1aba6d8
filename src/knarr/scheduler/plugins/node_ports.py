"""NodePorts: two pods cannot take the same port of a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from knarr.scheduler.framework import SKIP, Event, EventKind, PreFilterResult, Snapshot, Status, unschedulable
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo

_REFUSED = unschedulable("node(s) didn't have free ports for the requested pod ports")
_ANY = "0.0.0.0"


class NodePorts:
    """Refuses nodes where a host port of the pod is taken."""

    name = "NodePorts"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Judge by the ports taken on the node."""
        wanted = pod.host_ports
        if not wanted:
            return SKIP

        def judge(node: NodeInfo) -> Status | None:
            return _REFUSED if node.used_ports and _taken(wanted, node.used_ports) else None

        return PreFilterResult(judge)

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a node comes, or a pod with such a port goes."""
        if event.kind is EventKind.NODE_ADD:
            return True
        if event.kind is not EventKind.POD_DELETE or event.old_pod is None:
            return False
        used: dict[tuple[str, int], dict[str, int]] = {}
        for address, protocol, port in event.old_pod.host_ports:
            used.setdefault((protocol, port), {})[address] = 1
        return _taken(pod.host_ports, used)


def _taken(wanted: Iterable[tuple[str, str, int]], used: Mapping[tuple[str, int], Mapping[str, int]]) -> bool:
    for address, protocol, port in wanted:
        users = used.get((protocol, port))
        if users and (address == _ANY or _ANY in users or address in users):
            return True
    return False
