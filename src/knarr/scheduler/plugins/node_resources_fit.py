"""NodeResourcesFit: a node must have room for what the pod requests; the emptier, the better (`LeastAllocated`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from knarr.scheduler.framework import (
    MAX_SCORE,
    Code,
    Event,
    EventKind,
    PreFilterResult,
    Snapshot,
    Status,
    unschedulable,
)
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_info import PodInfo

_TOO_MANY = unschedulable("Too many pods")


class NodeResourcesFit:
    """Refuses nodes without room; prefers those with much of cpu and memory left."""

    name = "NodeResourcesFit"

    def pre_filter(self, pod: PodInfo, snapshot: Snapshot) -> PreFilterResult:
        """Judge by the node's sums."""
        cpu, memory, others = pod.cpu, pod.memory, pod.others

        def judge(node: NodeInfo) -> Status | None:
            if (
                len(node.pods) < node.allocatable_pods
                and (not cpu or cpu <= node.allocatable_cpu - node.cpu)
                and (not memory or memory <= node.allocatable_memory - node.memory)
                and not others
            ):
                return None
            return lacking(pod, node)

        return PreFilterResult(judge)

    def score(self, pod: PodInfo, snapshot: Snapshot, nodes: Sequence[NodeInfo]) -> Sequence[int] | None:
        """The mean share of cpu and memory that stays free, containers without requests taken as nominal ones."""
        cpu, memory = pod.nominal_cpu, pod.nominal_memory
        out = []
        for node in nodes:
            total_cpu, total_memory = node.allocatable_cpu, node.allocatable_memory
            free_cpu, free_memory = total_cpu - node.nominal_cpu - cpu, total_memory - node.nominal_memory - memory
            if total_cpu and total_memory:
                share = free_cpu * MAX_SCORE // total_cpu if free_cpu > 0 else 0
                out.append((share + (free_memory * MAX_SCORE // total_memory if free_memory > 0 else 0)) // 2)
            elif total_cpu:
                out.append(max(free_cpu, 0) * MAX_SCORE // total_cpu)
            else:
                out.append(max(free_memory, 0) * MAX_SCORE // total_memory if total_memory else 0)
        return out

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """When a pod goes or shrinks, or a node comes or grows that could hold the pod."""
        if event.kind is EventKind.POD_DELETE:
            return True
        if event.kind is EventKind.POD_UPDATE:
            old_pod, new_pod = event.old_pod, event.new_pod
            return bool(old_pod and new_pod and _grew(new_pod.requests, old_pod.requests, old_pod.requests))
        old, new = event.old_node, event.new_node
        if event.kind not in (EventKind.NODE_ADD, EventKind.NODE_UPDATE) or new is None or lacking(pod, new):
            return False
        return old is None or _grew(old.allocatable, new.allocatable, (*pod.requests, "pods"))


def lacking(pod: PodInfo, node: NodeInfo) -> Status | None:
    """What a node lacks for a pod, resource by resource."""
    reasons = []
    hopeless = False
    if len(node.pods) >= node.allocatable_pods:
        reasons.append(_TOO_MANY.reasons[0])
    used = {"cpu": node.cpu, "memory": node.memory}
    for resource, wanted in (("cpu", pod.cpu), ("memory", pod.memory), *sorted(pod.others.items())):
        total = node.allocatable.get(resource, 0)
        if wanted and wanted > total - used.get(resource, node.others.get(resource, 0)):
            reasons.append(f"Insufficient {resource}")
            hopeless = hopeless or wanted > total
    if not reasons:
        return None
    return Status(Code.UNRESOLVABLE if hopeless else Code.UNSCHEDULABLE, tuple(reasons))


def _grew(old: Mapping[str, int], new: Mapping[str, int], resources: Iterable[str]) -> bool:
    return any(new.get(resource, 0) > old.get(resource, 0) for resource in resources)
