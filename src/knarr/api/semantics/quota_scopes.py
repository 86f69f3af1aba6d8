"""Which pods and claims the scopes of a ResourceQuota choose.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from knarr.api.semantics.qos import qos_class
from knarr.apimachinery.types import Object

#: (selector requirement, object) → whether it is in the scope.
InScope: TypeAlias = Callable[[Object, Object], bool]


def selectors(quota: Object) -> list[Object]:
    """The scopes of a quota as requirements (`scopeName`, `operator`, `values`), all of which must hold."""
    spec = quota.get("spec") or {}
    plain = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    return plain + list((spec.get("scopeSelector") or {}).get("matchExpressions") or ())


def nothing(_selector: Object, _obj: Object) -> bool:
    """Objects of most kinds are in no scope."""
    return False


def pod(selector: Object, obj: Object) -> bool:
    """Whether a pod is in a scope."""
    spec = obj.get("spec") or {}
    scope = selector.get("scopeName")
    if scope == "PriorityClass":
        name = spec.get("priorityClassName")
        return _chosen(selector, [name] if name else [])
    return scope in _POD_SCOPES and _POD_SCOPES[scope](spec)


def moves(old: Object, new: Object) -> bool:
    """Whether an update moves a pod from one scope to another."""
    return _is_terminating(old.get("spec") or {}) != _is_terminating(new.get("spec") or {})


def claim(selector: Object, obj: Object) -> bool:
    """Whether a claim of a volume is in a scope."""
    if selector.get("scopeName") != "VolumeAttributesClass":
        return False
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    names = (
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return _chosen(selector, [name for name in names if name])


def _chosen(selector: Object, names: list[str]) -> bool:
    """Whether a requirement holds for one of the names, or for there being none."""
    operator, values = selector.get("operator"), selector.get("values") or ()
    if operator == "In":
        return any(name in values for name in names)
    if operator == "NotIn":
        return not names or any(name not in values for name in names)
    return bool(names) if operator == "Exists" else not names


def _is_terminating(spec: Object) -> bool:
    deadline = spec.get("activeDeadlineSeconds")
    return deadline is not None and deadline >= 0


def _is_best_effort(spec: Object) -> bool:
    return qos_class(spec) == "BestEffort"


def _crosses_namespaces(spec: Object) -> bool:
    return any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in _affinity_terms(spec))


def _affinity_terms(spec: Object) -> Iterator[Object]:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(kind) or {}
        yield from found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in found.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


_POD_SCOPES: dict[str, Callable[[Object], bool]] = {
    "Terminating": _is_terminating,
    "NotTerminating": lambda spec: not _is_terminating(spec),
    "BestEffort": _is_best_effort,
    "NotBestEffort": lambda spec: not _is_best_effort(spec),
    "CrossNamespacePodAffinity": _crosses_namespaces,
}
