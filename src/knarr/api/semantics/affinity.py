"""Node affinity and pod affinity terms, compiled for matching.

Inputs are parts of a pod's spec as the API holds them (validated). A term that cannot be understood matches nothing.
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from knarr.apimachinery import labels
from knarr.apimachinery.types import Object

Labels: TypeAlias = Mapping[str, str]
#: Says of a node's labels and name whether it is meant.
NodeMatch: TypeAlias = Callable[[Labels, str], bool]

_OPERATORS = {
    "In": labels.IN,
    "NotIn": labels.NOT_IN,
    "Exists": labels.EXISTS,
    "DoesNotExist": labels.DOES_NOT_EXIST,
    "Gt": labels.GREATER,
    "Lt": labels.LESS,
}


def part(spec: Object, kind: str, field: str) -> Any:
    """`spec.affinity.<kind>.<field>`, or `None` when any of them is absent."""
    return ((spec.get("affinity") or {}).get(kind) or {}).get(field)


def required_nodes(spec: Object) -> NodeMatch | None:
    """Which nodes a pod may run on by its `nodeSelector` and required node affinity; `None` when it says nothing."""
    selector = spec.get("nodeSelector")
    required = part(spec, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if not selector and required is None:
        return None
    pairs = tuple((selector or {}).items())
    if required is None:
        return lambda on, _: all(on.get(key) == value for key, value in pairs)
    terms = [compiled for term in required.get("nodeSelectorTerms") or () if (compiled := node_term(term))]

    def match(on: Labels, name: str) -> bool:
        return all(on.get(key) == value for key, value in pairs) and any(term(on, name) for term in terms)

    return match


def required_node_names(spec: Object) -> frozenset[str] | None:
    """The nodes that required node affinity names (`metadata.name`), or `None` when other nodes may fit too."""
    required = part(spec, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = (required or {}).get("nodeSelectorTerms") or ()
    found: set[str] = set()
    for term in terms:
        named = [
            set(field.get("values") or ())
            for field in term.get("matchFields") or ()
            if field.get("key") == "metadata.name" and field.get("operator") == "In"
        ]
        if not named:
            return None
        found |= set.intersection(*named)
    return frozenset(found) if terms else None


def preferred_nodes(spec: Object) -> list[tuple[int, NodeMatch]]:
    """The weighted terms of preferred node affinity."""
    out = []
    for item in part(spec, "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution") or ():
        weight, match = item.get("weight", 0), node_term(item.get("preference") or {})
        if weight and match is not None:
            out.append((weight, match))
    return out


def node_term(term: Object) -> NodeMatch | None:
    """One term of a node selector; `None` for an empty one, which matches nothing."""
    on_labels = _requirements(term.get("matchExpressions"))
    on_fields = _requirements(term.get("matchFields"))
    if not on_labels and not on_fields:
        return None

    def match(on: Labels, name: str) -> bool:
        if not all(requirement.matches(on) for requirement in on_labels):
            return False
        return all(requirement.matches({"metadata.name": name}) for requirement in on_fields)

    return match


def _requirements(expressions: Sequence[Object] | None) -> list[labels.Requirement]:
    return [
        labels.Requirement(item.get("key", ""), _OPERATORS.get(item.get("operator", ""), ""), _values(item))
        for item in expressions or ()
    ]


def _values(expression: Object) -> frozenset[str]:
    return frozenset(expression.get("values") or ())


@dataclass(frozen=True, slots=True)
class PodTerm:
    """One pod affinity or anti-affinity term: pods of these namespaces with these labels, per `topology_key`."""

    topology_key: str
    namespaces: frozenset[str]
    namespace_selector: labels.Selector
    selector: labels.Selector

    def matches(self, namespace: str, on: Labels, namespace_labels: Labels) -> bool:
        """Whether a pod is meant, by its namespace, its labels and its namespace's labels."""
        if namespace not in self.namespaces and not self.namespace_selector.matches(namespace_labels):
            return False
        return self.selector.matches(on)


class WeightedPodTerm(NamedTuple):
    """A preferred term."""

    weight: int
    term: PodTerm


def required_pods(spec: Object, namespace: str, kind: str) -> tuple[PodTerm, ...]:
    """The required terms of `kind` (`podAffinity`, `podAntiAffinity`) of a pod in `namespace`."""
    terms = part(spec, kind, "requiredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(pod_term(term, namespace) for term in terms)


def preferred_pods(spec: Object, namespace: str, kind: str) -> tuple[WeightedPodTerm, ...]:
    """The weighted terms of `kind` (`podAffinity`, `podAntiAffinity`) of a pod in `namespace`."""
    terms = part(spec, kind, "preferredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(
        WeightedPodTerm(term.get("weight", 0), pod_term(term.get("podAffinityTerm") or {}, namespace)) for term in terms
    )


def pod_term(term: Object, namespace: str) -> PodTerm:
    """One term of a pod in `namespace`. Without namespaces and namespace selector it means that namespace."""
    namespaces = frozenset(term.get("namespaces") or ())
    selector = term.get("namespaceSelector")
    if not namespaces and selector is None:
        namespaces = frozenset((namespace,))
    return PodTerm(
        term.get("topologyKey", ""),
        namespaces,
        _selector(selector, labels.NOTHING),
        _selector(term.get("labelSelector")),
    )


def _selector(selector: Object | None, absent: labels.Selector = labels.NOTHING) -> labels.Selector:
    try:
        return absent if selector is None else labels.from_object(selector)
    except ValueError:
        return labels.NOTHING
