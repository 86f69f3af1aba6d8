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


class Kinds:
    """The kinds that are served: the built-in ones, and those of CustomResourceDefinitions.

    `documents` has the OpenAPI of group-versions with custom resources, as far as it has been read.
    """

    def __init__(self, definitions: Iterable[Object], documents: Mapping[str, Object | None]) -> None:
        self._custom = {key: kind for definition in definitions for key, kind in _defined(definition)}
        self._documents = documents

    def of_resource(self, group: str, version: str, name: str) -> GroupVersionKind | None:
        """The kind of a resource, named by its plural or singular."""
        for item in registry.RESOURCES:
            if (item.group, item.version) == (group, version) and name in (item.plural, item.singular):
                return item.gvk
        return self._custom.get((group, version, name))

    def schema(self, kind: GroupVersionKind) -> Object | None:
        """The schema of a kind's objects, None where there is none. Read-only."""
        document = self._documents.get(kind.api_version)
        return resolved.of_kind(*kind) if document is None else resolved.in_document(document, kind)

    def unread(self, kinds: Iterable[GroupVersionKind]) -> set[str]:
        """The group-versions of custom resources among some kinds whose documents must be read first."""
        custom = frozenset(self._custom.values())
        return {kind.api_version for kind in kinds if kind in custom and kind.api_version not in self._documents}


def _defined(definition: Object) -> Iterator[tuple[tuple[str, str, str], GroupVersionKind]]:
    spec = definition["spec"]
    names, group = spec["names"], spec["group"]
    for version in spec.get("versions") or ():
        if version.get("served"):
            for name in (names["plural"], names.get("singular") or names["kind"].lower()):
                yield (group, version["name"], name), GroupVersionKind(group, version["name"], names["kind"])


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
