"""Which kinds a policy is about, as far as its rules name them, and the schemas of their objects.

Input: a policy's rules; the CustomResourceDefinitions there are. Output: kinds, sorted, and schemas.
Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from knarr.api import registry
from knarr.api.openapi import resolved
from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.types import Object

#: So many kinds of a rule are checked; more than that are likely to be a mistake.
_MOST = 10
_TEXT: Object = {"type": "string"}


class Kinds:
    """The kinds that are served: the built-in ones, and those of CustomResourceDefinitions."""

    def __init__(self, definitions: Iterable[Object]) -> None:
        self._custom: dict[tuple[str, str, str], tuple[GroupVersionKind, Object | None]] = {}
        for definition in definitions:
            self._custom |= _defined(definition)
        self._schemas = dict(self._custom.values())

    def of_resource(self, group: str, version: str, name: str) -> GroupVersionKind | None:
        """The kind of a resource, named by its plural or singular."""
        for item in registry.RESOURCES:
            if (item.group, item.version) == (group, version) and name in (item.plural, item.singular):
                return item.gvk
        found = self._custom.get((group, version, name))
        return None if found is None else found[0]

    def schema(self, kind: GroupVersionKind) -> Object | None:
        """The schema of a kind's objects, None where there is none. Read-only."""
        return resolved.of_kind(*kind) or self._schemas.get(kind)


def _defined(definition: Object) -> Mapping[tuple[str, str, str], tuple[GroupVersionKind, Object | None]]:
    spec = definition["spec"]
    names, group = spec["names"], spec["group"]
    found = {}
    for version in spec.get("versions") or ():
        if version.get("served"):
            kind = GroupVersionKind(group, version["name"], names["kind"])
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            for name in (names["plural"], names.get("singular") or names["kind"].lower()):
                found[group, version["name"], name] = (kind, _published(schema))
    return found


def _published(schema: Object | None) -> Object | None:
    """A custom resource's schema with what every object has."""
    if schema is None:
        return None
    head = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": resolved.metadata()}
    return {**schema, "properties": {**(schema.get("properties") or {}), **head}}


def to_check(policy: Object, kinds: Kinds) -> list[GroupVersionKind]:
    """The kinds that a policy's rules name without wildcards."""
    found: set[GroupVersionKind] = set()
    for rule in (policy["spec"].get("matchConstraints") or {}).get("resourceRules") or ():
        named = list(itertools.islice(_named(rule, kinds), _MOST))
        found.update(named)
        if len(named) == _MOST:
            break
    return sorted(found)


def _named(rule: Object, kinds: Kinds) -> Iterator[GroupVersionKind]:
    groups, versions = _plain(rule.get("apiGroups")), _plain(rule.get("apiVersions"))
    resources = sorted(name for name in rule.get("resources") or () if not {"*", "/"} & set(name))
    for group, version, resource in itertools.product(groups, versions, resources):
        kind = kinds.of_resource(group, version, resource)
        if kind is not None:
            yield kind


def _plain(names: Sequence[str] | None) -> list[str]:
    """The names in order, none if one of them is a pattern."""
    return [] if any("*" in name for name in names or ()) else sorted(names or ())
