"""NodeResourcesBalancedAllocation: prefers nodes whose cpu and memory are used to the same degree."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.scheduler.framework import MAX_SCORE, Snapshot
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo


class NodeResourcesBalancedAllocation:
    """Scores by the deviation between the shares of cpu and memory that are requested with the pod."""

    name = "NodeResourcesBalancedAllocation"

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """The smaller the deviation, the better. A pod that requests neither has no say."""
        cpu, memory = pod.cpu, pod.memory
        if not cpu and not memory:
            return None
        out = []
        for node in nodes:
            total_cpu, total_memory = node.allocatable_cpu, node.allocatable_memory
            if total_cpu and total_memory:
                share = min((node.cpu + cpu) / total_cpu, 1.0) - min((node.memory + memory) / total_memory, 1.0)
                out.append(int((1 - abs(share / 2)) * MAX_SCORE))
            else:
                out.append(MAX_SCORE)
        return out
