"""Everything by which a webhook or a policy picks its requests: rules, exclusions, selectors, equivalent resources.

Input: criteria made once of an object, the attributes of a request, the resources that are the same in other versions
or groups. Output: as what the request matched, or None. What cannot be told is an error only where the rules match.
Source: k8s.io/apiserver/pkg/admission/plugin/webhook/generic and policy/matching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from knarr.api.resources import Resource
from knarr.apimachinery import labels
from knarr.apimachinery.errors import not_found
from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.labels import Selector
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching import rules
from knarr.apiserver.matching.rules import Asked, Rule

#: The other resources under which the objects of a resource (and subresource) are served, in discovery order.
Equivalents = Callable[[Resource, str], Iterable[Resource]]


class Match(NamedTuple):
    """As what a request matched: one of the resources its object is served as, and the kind of the body there."""

    resource: Resource
    kind: GroupVersionKind


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a webhook, a policy or a binding wants to see."""

    rules: tuple[Rule, ...]
    excluded: tuple[Rule, ...]
    #: `matchPolicy: Equivalent`.
    equivalent: bool
    namespaces: Selector
    objects: Selector
    #: Without any rule everything matches, as for bindings; else nothing does, as for webhooks.
    open: bool = False

    def match(self, attributes: Attributes, equivalents: Equivalents) -> Match | None:
        """As what a request matches. Raises `StatusError` 404 where its namespace cannot be looked at."""
        labels_of_namespace = _namespace_labels(attributes)
        unknown = labels_of_namespace is None and not self.namespaces.is_everything
        if not unknown and not self._selects_namespace(attributes, labels_of_namespace):
            return None
        if not self._selects_object(attributes):
            return None
        found = self._by_rules(attributes, equivalents)
        if found is not None and unknown:
            raise not_found("namespaces", "", rules.namespace_of(attributes))
        return found

    def concern(self, attributes: Attributes, equivalents: Equivalents) -> bool:
        """Whether any such request on the resource may match, whatever object it is about."""
        if self.open and not self.rules:
            return True
        own, subresource = attributes.resource, attributes.subresource
        resources = (own, *equivalents(own, subresource)) if self.equivalent else (own,)
        return any(
            rule.concerns(attributes.operation, subresource, resource) for rule in self.rules for resource in resources
        )

    def _selects_namespace(self, attributes: Attributes, found: Mapping[str, str] | None) -> bool:
        if self.namespaces.is_everything:
            return True
        if not rules.namespace_of(attributes) and attributes.kind_key != ("namespaces", ""):
            # What is in no namespace is never exempt.
            return True
        return self.namespaces.matches(found)

    def _selects_object(self, attributes: Attributes) -> bool:
        if self.objects.is_everything:
            return True
        return any(
            one is not None and self.objects.matches((one.get("metadata") or {}).get("labels"))
            for one in (attributes.object, attributes.old_object)
        )

    def _by_rules(self, attributes: Attributes, equivalents: Equivalents) -> Match | None:
        request = rules.asked(attributes)
        own = attributes.resource
        if self.excluded and self._first(self.excluded, request, own, equivalents) is not None:
            return None
        found = own if self.open and not self.rules else self._first(self.rules, request, own, equivalents)
        kind = kind_of(found, attributes.subresource) if found is not None else None
        return Match(found, kind) if found is not None and kind is not None else None

    def _first(
        self, wanted: Iterable[Rule], request: Asked, own: Resource, equivalents: Equivalents
    ) -> Resource | None:
        """The request's own resource if a rule names it, else the first equivalent one that an early rule names."""
        if any(rule.matches(request, own) for rule in wanted):
            return own
        if not self.equivalent:
            return None
        others = tuple(equivalents(own, request.subresource))
        if not others:
            return None
        return next((other for rule in wanted for other in others if rule.matches(request, other)), None)


def of_webhook(webhook: Object) -> Criteria:
    """The criteria of one webhook of a configuration. Raises `ValueError` for a selector that is not valid."""
    return _criteria(webhook, rules.of(webhook.get("rules")))


def of_resources(match: Object | None, *, open_: bool = True) -> Criteria:
    """The criteria in a `MatchResources` of a policy or binding. Raises `ValueError` for an invalid selector."""
    match = match or {}
    return _criteria(match, rules.of(match.get("resourceRules")), open_=open_)


def _criteria(source: Object, wanted: tuple[Rule, ...], *, open_: bool = False) -> Criteria:
    return Criteria(
        rules=wanted,
        excluded=rules.of(source.get("excludeResourceRules")),
        equivalent=source.get("matchPolicy") == "Equivalent",
        # No selector at all selects everything here, as defaults make of it an empty one.
        namespaces=labels.from_object(source.get("namespaceSelector") or {}),
        objects=labels.from_object(source.get("objectSelector") or {}),
        open=open_,
    )


def kind_of(resource: Resource, subresource: str) -> GroupVersionKind | None:
    """The kind of the bodies sent to a resource or its subresource; None where there is no such subresource."""
    if not subresource:
        return resource.gvk
    for item in resource.subresources:
        if item.name == subresource:
            return GroupVersionKind(item.group, item.version, item.kind)
    return None


def equivalents_in(served: Iterable[Resource], resource: Resource, subresource: str) -> list[Resource]:
    """Of the served resources those that show the same objects as another resource does, itself left out."""
    if not resource.storage:
        return []
    return [
        other
        for other in served
        if other is not resource
        and other.storage == resource.storage
        and other.plural == resource.plural
        and kind_of(other, subresource) is not None
    ]


def _namespace_labels(attributes: Attributes) -> Mapping[str, str] | None:
    """The labels of the request's namespace, None for one that is not there."""
    whole_namespace = attributes.kind_key == ("namespaces", "") and not attributes.subresource
    if whole_namespace and attributes.operation in ("CREATE", "UPDATE") and attributes.object is not None:
        return (attributes.object.get("metadata") or {}).get("labels") or {}
    name = rules.namespace_of(attributes)
    if not name:
        return {}
    found = attributes.reader.get("namespaces", "", "", name)
    return (found["metadata"].get("labels") or {}) if found is not None else None
