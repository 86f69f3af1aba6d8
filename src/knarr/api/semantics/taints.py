"""The taints that tell of a node's state, and how long a pod puts up with those that evict.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.semantics import tolerations
from knarr.apimachinery.types import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
#: Taint by (condition, its status).
BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}


def listed(node: Object) -> Sequence[Object]:
    """A node's taints."""
    return (node.get("spec") or {}).get("taints") or ()


def evicting(node: Object) -> list[Object]:
    """A node's taints with effect `NoExecute`."""
    return [taint for taint in listed(node) if taint.get("effect") == tolerations.NO_EXECUTE]


def used(pod: Object, taints: Sequence[Object]) -> list[Object] | None:
    """The toleration that a pod uses for each taint; None when it does not tolerate them all."""
    own = pod["spec"].get("tolerations") or ()
    found = [next((item for item in own if tolerations.tolerates(item, taint)), None) for taint in taints]
    kept = [item for item in found if item is not None]
    return kept if len(kept) == len(found) else None
