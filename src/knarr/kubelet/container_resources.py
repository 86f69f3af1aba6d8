"""What a container and a pod may take: requests and limits in the kernel's terms.

Input: pod, container, the machine's memory. Output: a CRI `LinuxContainerResources`, or a pod's `GroupLimits`.
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.api.semantics.pod_requests import Amounts, amounts, effective_limits, effective_requests
from knarr.api.semantics.qos import qos_class
from knarr.apimachinery.types import Object

PERIOD = 100_000
_LEAST_QUOTA = 1000
_LEAST_SHARES, _MOST_SHARES = 2, 262_144
_GUARANTEED, _BEST_EFFORT = -997, 1000
#: Pods of this priority and above are `system-node-critical`.
_NODE_CRITICAL = 2_000_001_000


class GroupLimits(NamedTuple):
    """A control group's limits; 0 is none."""

    shares: int
    quota: int = 0
    memory: int = 0


def shares(millicores: int) -> int:
    """CPU weight as cgroup v1 counts it."""
    return max(_LEAST_SHARES, min(millicores * 1024 // 1000, _MOST_SHARES))


def quota(millicores: int) -> int:
    """Microseconds a period; 0 for no limit."""
    return max(millicores * PERIOD // 1000, _LEAST_QUOTA) if millicores else 0


def container_resources(pod: Object, container: Object, memory: int) -> dict[str, Any]:
    """The limits of one container."""
    resources = container.get("resources") or {}
    requests, limits = amounts(resources.get("requests")), amounts(resources.get("limits"))
    asked = requests["cpu"] if "cpu" in requests else limits.get("cpu", 0)
    out: dict[str, Any] = {
        "cpu_shares": shares(asked),
        "memory_limit_in_bytes": limits.get("memory", 0),
        "oom_score_adj": oom_score_adj(pod, container, memory),
    }
    if limited := quota(limits.get("cpu", 0)):
        out |= {"cpu_quota": limited, "cpu_period": PERIOD}
    return out


def oom_score_adj(pod: Object, container: Object, memory: int) -> int:
    """Who is killed first when memory runs out: the higher, the sooner."""
    qos = qos_class(pod["spec"])
    if (pod["spec"].get("priority") or 0) >= _NODE_CRITICAL or qos == "Guaranteed":
        return _GUARANTEED
    if qos == "BestEffort":
        return _BEST_EFFORT
    asked = amounts((container.get("resources") or {}).get("requests")).get("memory", 0)
    score = 1000 - 1000 * asked // memory if memory else 999
    return max(1000 + _GUARANTEED, min(score, _BEST_EFFORT - 1))


def pod_limits(pod: Object) -> GroupLimits:
    """The limits of the pod's own group. A limit holds only if every container has one."""
    requests, limits = effective_requests(pod), effective_limits(pod)
    spec = pod["spec"]
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    own = amounts((spec.get("resources") or {}).get("limits"))

    def limit(resource: str) -> int:
        listed = (amounts((each.get("resources") or {}).get("limits")) for each in containers)
        return limits.get(resource, 0) if resource in own or all(resource in each for each in listed) else 0

    return GroupLimits(shares(_cpu(requests, limits)), quota(limit("cpu")), limit("memory"))


def _cpu(requests: Amounts, limits: Amounts) -> int:
    return requests["cpu"] if "cpu" in requests else limits.get("cpu", 0)
