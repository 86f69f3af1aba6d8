"""Whether this node can take a pod at all.

Input: the pod, the pods that are here, what the node offers. Output: (reason, message) of a refusal, or None.
The scheduler has looked before, but it may have been wrong, or not have been asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knarr.api.semantics.pod_requests import amount, effective_requests, host_ports
from knarr.apimachinery.types import Object

#: What the node keeps books of; other resources belong to device plugins.
_COUNTED = ("cpu", "memory", "ephemeral-storage")


def admit(pod: Object, others: Sequence[Object], allocatable: Mapping[str, object]) -> tuple[str, str] | None:
    """The first thing that does not fit."""
    security = pod["spec"].get("securityContext") or {}
    if security.get("supplementalGroupsPolicy") == "Strict":
        # The runtime adds the image's groups all the same.
        text = "SupplementalGroupsPolicy=Strict is not supported in this node"
        return "SupplementalGroupsPolicyNotSupported", f"Pod was rejected: {text}"
    most = amount("pods", allocatable.get("pods", "0"))
    if len(others) + 1 > most:
        return "OutOfpods", _message("pods", 1, len(others), most)
    used = [effective_requests(other) for other in others]
    for resource, asked in sorted(effective_requests(pod).items()):
        if not asked or not (resource in _COUNTED or resource.startswith("hugepages-")):
            continue
        taken = sum(each.get(resource, 0) for each in used)
        capacity = amount(resource, allocatable.get(resource, "0"))
        if taken + asked > capacity:
            return f"OutOf{resource}", _message(resource, asked, taken, capacity)
    return _port_refusal(pod, others)


def _port_refusal(pod: Object, others: Sequence[Object]) -> tuple[str, str] | None:
    wanted = tuple(host_ports(pod["spec"]))
    used = [place for other in others for place in host_ports(other["spec"])] if wanted else []
    if not any(_clash(place, other) for place in wanted for other in used):
        return None
    text = "node(s) didn't have free ports for the requested pod ports"
    return "NodePorts", f"Pod was rejected: Predicate NodePorts failed: {text}"


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or "0.0.0.0" in (one[0], other[0]))


def _message(resource: str, asked: int, used: int, capacity: int) -> str:
    return (
        f"Pod was rejected: Node didn't have enough resource: {resource}, requested: {asked}, used: {used}, "
        f"capacity: {capacity}"
    )
