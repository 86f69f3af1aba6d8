"""Rules of webhooks and policies: which operations on which resources they name.

Input: a rule as it stands in objects of `admissionregistration.k8s.io`, and a request. Output: whether it names it.
Source: k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes

_ALL = "*"
#: What no webhook and no policy is asked about: who made a mistake in one of these must be able to mend it.
EXEMPT = frozenset(
    {
        ("validatingwebhookconfigurations", "admissionregistration.k8s.io"),
        ("mutatingwebhookconfigurations", "admissionregistration.k8s.io"),
        ("validatingadmissionpolicies", "admissionregistration.k8s.io"),
        ("validatingadmissionpolicybindings", "admissionregistration.k8s.io"),
        ("mutatingadmissionpolicies", "admissionregistration.k8s.io"),
        ("mutatingadmissionpolicybindings", "admissionregistration.k8s.io"),
    }
)
_NAMESPACES = ("namespaces", "")


class Asked(NamedTuple):
    """What a request is about. `namespace` of a Namespace is its own name."""

    operation: str
    subresource: str
    namespace: str
    name: str


def asked(attributes: Attributes) -> Asked:
    """What the attributes of a request say of it."""
    return Asked(attributes.operation, attributes.subresource, namespace_of(attributes), attributes.name)


def namespace_of(attributes: Attributes) -> str:
    """The namespace that a request belongs to: that of a Namespace is itself."""
    return attributes.name if attributes.kind_key == _NAMESPACES else attributes.namespace


@dataclass(frozen=True, slots=True)
class Rule:
    """A `RuleWithOperations` or `NamedRuleWithOperations`."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    #: (plural, subresource), either may be `*`.
    resources: tuple[tuple[str, str], ...]
    scope: str = _ALL
    #: Of a named rule: the objects it is about; all when empty.
    names: frozenset[str] = frozenset()

    def matches(self, request: Asked, resource: Resource) -> bool:
        """Whether the rule names this request, taken as one for `resource`."""
        return (
            self.concerns(request.operation, request.subresource, resource)
            and self._in_scope(request, resource)
            and (not self.names or request.name in self.names)
        )

    def concerns(self, operation: str, subresource: str, resource: Resource) -> bool:
        """Whether the rule names any such request for `resource`, whatever object it is about."""
        return (
            _has(self.operations, operation)
            and _has(self.groups, resource.group)
            and _has(self.versions, resource.version)
            and self._has_resource(resource.plural, subresource)
        )

    def _has_resource(self, plural: str, subresource: str) -> bool:
        return any(name in (_ALL, plural) and part in (_ALL, subresource) for name, part in self.resources)

    def _in_scope(self, request: Asked, resource: Resource) -> bool:
        if self.scope == _ALL:
            return True
        inside = bool(request.namespace) and (resource.plural, resource.group) != _NAMESPACES
        return inside == (self.scope == "Namespaced")


def of(items: Iterable[Object] | None) -> tuple[Rule, ...]:
    """The rules in a list of an object."""
    return tuple(map(_rule, items or ()))


def _rule(item: Object) -> Rule:
    return Rule(
        operations=frozenset(item.get("operations") or ()),
        groups=frozenset(item.get("apiGroups") or ()),
        versions=frozenset(item.get("apiVersions") or ()),
        resources=tuple(_split(name) for name in item.get("resources") or ()),
        scope=item.get("scope") or _ALL,
        names=frozenset(item.get("resourceNames") or ()),
    )


def _split(name: str) -> tuple[str, str]:
    plural, _, part = name.partition("/")
    return plural, part


def _has(names: frozenset[str], name: str) -> bool:
    return name in names or _ALL in names
