"""Policy rules: whether one RBAC rule allows one request.

Input: rules as they stand in roles, requests as `RequestInfo`. No state.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.apiserver.request import RequestInfo

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule with its lists as sets; a `*` stays in its set."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    urls: tuple[str, ...]
    source: Object

    def allows(self, info: RequestInfo) -> bool:
        """Tell whether this rule alone allows the request."""
        if info.verb not in self.verbs and "*" not in self.verbs:
            return False
        return self.matches(info) if info.is_resource else self.matches_path(info.path)

    def matches(self, info: RequestInfo) -> bool:
        """Tell whether the rule names the request's resource; verbs are not looked at."""
        if info.group not in self.groups and "*" not in self.groups:
            return False
        if self.names and info.name not in self.names:
            return False
        if not info.subresource:
            return info.resource in self.resources or "*" in self.resources
        return (
            f"{info.resource}/{info.subresource}" in self.resources
            or "*" in self.resources
            or f"*/{info.subresource}" in self.resources
        )

    def matches_path(self, path: str) -> bool:
        """Tell whether the rule names a path that is no resource. A `*` at the end of a URL stands for any rest."""
        return any(url in ("*", path) or (url.endswith("*") and path.startswith(url.rstrip("*"))) for url in self.urls)


def compile_rule(rule: Object) -> Rule:
    """A rule of a role, made ready for many questions."""
    return Rule(
        verbs=frozenset(rule.get("verbs") or _NONE),
        groups=frozenset(rule.get("apiGroups") or _NONE),
        resources=frozenset(rule.get("resources") or _NONE),
        names=frozenset(rule.get("resourceNames") or _NONE),
        urls=tuple(rule.get("nonResourceURLs") or ()),
        source=rule,
    )


def compile_rules(rules: Iterable[Object] | None) -> tuple[Rule, ...]:
    """All rules of a role."""
    return tuple(compile_rule(rule) for rule in rules or ())


class RuleSet:
    """The rules of one role, found by group and resource.

    Invariant: `allows(info)` is true exactly when one of `rules` allows the request.
    """

    __slots__ = ("_by_name", "_open", "_urls", "rules")

    def __init__(self, rules: Iterable[Object] | None) -> None:
        self.rules = compile_rules(rules)
        #: Rules without wildcards in groups and resources, by the pair.
        self._by_name: dict[tuple[str, str], list[Rule]] = {}
        #: Rules that only a full look can match.
        self._open: list[Rule] = []
        self._urls = [rule for rule in self.rules if rule.urls]
        for rule in self.rules:
            self._file(rule)

    def _file(self, rule: Rule) -> None:
        if "*" in rule.groups or any(name.startswith("*") for name in rule.resources):
            self._open.append(rule)
            return
        for group in rule.groups:
            for resource in rule.resources:
                self._by_name.setdefault((group, resource), []).append(rule)

    def allows(self, info: RequestInfo) -> bool:
        """Tell whether one of the rules allows the request."""
        verb = info.verb
        if not info.is_resource:
            return any(
                (verb in rule.verbs or "*" in rule.verbs) and rule.matches_path(info.path) for rule in self._urls
            )
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        for rule in self._by_name.get((info.group, resource), ()):
            if (verb in rule.verbs or "*" in rule.verbs) and (not rule.names or info.name in rule.names):
                return True
        return any((verb in rule.verbs or "*" in rule.verbs) and rule.matches(info) for rule in self._open)
