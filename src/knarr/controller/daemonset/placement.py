"""Where a DaemonSet's pods belong: the tolerations they have, the nodes they fit, and how each is bound to one.

https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from knarr.api.semantics import affinity, taints, tolerations
from knarr.apimachinery.types import Object

_NAME = "metadata.name"
#: What every daemon pod tolerates, in this order.
_TOLERATED = (
    (taints.NOT_READY, tolerations.NO_EXECUTE),
    (taints.UNREACHABLE, tolerations.NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", tolerations.NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", tolerations.NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", tolerations.NO_SCHEDULE),
    (taints.UNSCHEDULABLE, tolerations.NO_SCHEDULE),
)
_WITHOUT_NETWORK = ("node.kubernetes.io/network-unavailable", tolerations.NO_SCHEDULE)


class Fit(NamedTuple):
    """Whether a node shall get a pod, and whether one that is there may stay."""

    run: bool
    stay: bool


_NEVER = Fit(run=False, stay=False)


class Placement:
    """Judges nodes for one DaemonSet."""

    def __init__(self, daemon_set: Object) -> None:
        spec = daemon_set["spec"]["template"]["spec"]
        self._node = spec.get("nodeName") or ""
        self._matches = affinity.required_nodes(spec)
        self._tolerations = tolerated(spec)

    def fit(self, node: Object) -> Fit:
        """How a node fits, as the scheduler would judge an otherwise empty one."""
        meta = node["metadata"]
        if self._node and self._node != meta["name"]:
            return _NEVER
        if self._matches is not None and not self._matches(meta.get("labels") or {}, meta["name"]):
            return _NEVER
        found = taints.listed(node)
        if tolerations.first_untolerated(found, self._tolerations) is None:
            return Fit(run=True, stay=True)
        evicted = tolerations.first_untolerated(found, self._tolerations, frozenset({tolerations.NO_EXECUTE}))
        return Fit(run=False, stay=evicted is None)


def tolerated(spec: Object) -> list[Object]:
    """The tolerations of a template, and those that daemon pods have in any case."""
    found = list(spec.get("tolerations") or ())
    more = (_WITHOUT_NETWORK,) if spec.get("hostNetwork") else ()
    for key, effect in (*_TOLERATED, *more):
        found = _with(found, {"key": key, "operator": "Exists", "effect": effect})
    return found


def _with(present: Sequence[Object], toleration: Object) -> list[Object]:
    """With one more toleration, in the place of one that only differs in its seconds."""
    same = [_what(item) == _what(toleration) for item in present]
    if not any(same):
        return [*present, toleration]
    return [toleration if is_same else item for item, is_same in zip(present, same, strict=True)]


def _what(toleration: Object) -> tuple[str, ...]:
    return tuple(toleration.get(field) or "" for field in ("key", "operator", "value", "effect"))


def bound_to(spec: Object, node: str) -> Object:
    """The affinity of a pod that may run on this node only."""
    found = spec.get("affinity") or {}
    near = found.get("nodeAffinity") or {}
    only = {"matchFields": [{"key": _NAME, "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [only]}}
    return {**found, "nodeAffinity": {**near, **required}}


def target(pod: Object) -> str:
    """The node a pod runs on or shall run on; empty where that cannot be told."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    required = affinity.part(spec, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for item in term.get("matchFields") or ():
            if item.get("key") == _NAME and item.get("operator") == "In":
                values = list(item.get("values") or ())
                return str(values[0]) if len(values) == 1 else ""
    return ""
