"""Audit policies: how much of a request is written down.

Pure. Input: the document of a `Policy` (audit.k8s.io/v1), then users and requests. Output: a level and what is left
out. The first rule that matches decides; a request that none matches is not written down.
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/#audit-k8s-io-v1-Policy
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object
from knarr.apiserver.request import RequestInfo, UserInfo

NONE, METADATA, REQUEST, REQUEST_RESPONSE = LEVELS = ("None", "Metadata", "Request", "RequestResponse")
RECEIVED, STARTED, COMPLETE, PANIC = STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")


@dataclass(frozen=True, slots=True)
class Audited:
    """What is written down of one request."""

    level: str
    omitted: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


_NOTHING = Audited(NONE)


@dataclass(frozen=True, slots=True)
class GroupResources:
    """Resources of a group; no `resources` stands for all, no `names` for every object."""

    group: str
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def covers(self, info: RequestInfo) -> bool:
        """Whether the request is for one of them."""
        if self.group != info.group:
            return False
        if not self.resources:
            return True
        if self.names and info.name not in self.names:
            return False
        return any(_names(pattern, info.resource, info.subresource) for pattern in self.resources)


def _names(pattern: str, resource: str, subresource: str) -> bool:
    """`pods`, `pods/log`, `pods/*`, `*/status`, `*`."""
    if pattern == (f"{resource}/{subresource}" if subresource else resource):
        return True
    if pattern == "*":
        return True
    before, slash, behind = pattern.partition("/")
    return bool(slash) and ((behind == "*" and before == resource) or (before == "*" and behind == subresource))


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests, and what is written down of them. Empty parts hold for every request."""

    audited: Audited
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    resources: tuple[GroupResources, ...] = ()
    paths: tuple[str, ...] = ()

    def matches(self, user: UserInfo | None, info: RequestInfo) -> bool:
        """Whether this rule decides."""
        if self.users and (user is None or user.name not in self.users):
            return False
        if self.groups and (user is None or not self.groups.intersection(user.groups)):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._matches_resource(info)
        if self.paths:
            return not info.is_resource and any(_path_matches(pattern, info.path) for pattern in self.paths)
        return True

    def _matches_resource(self, info: RequestInfo) -> bool:
        if not info.is_resource:
            return False
        if self.namespaces and info.namespace not in self.namespaces:
            return False
        return not self.resources or any(each.covers(info) for each in self.resources)


def _path_matches(pattern: str, path: str) -> bool:
    if pattern == "*" or path == pattern:
        return True
    return pattern.endswith("*") and path.startswith(pattern[:-1].rstrip("/") or "/")


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules, in order."""

    rules: tuple[Rule, ...]

    def of(self, user: UserInfo | None, info: RequestInfo) -> Audited:
        """What is written down of a request; `user` is None for who did not say who he is."""
        return next((rule.audited for rule in self.rules if rule.matches(user, info)), _NOTHING)


def parse(document: Any) -> Policy:
    """The policy of a document. Raises `ValueError` with every fault."""
    if not isinstance(document, dict) or document.get("kind") != "Policy":
        raise ValueError("a Policy is wanted")
    if document.get("apiVersion") != "audit.k8s.io/v1":
        raise ValueError(f"apiVersion {document.get('apiVersion')!r} is not audit.k8s.io/v1")
    rules: Sequence[Any] = document.get("rules") or ()
    errors = _stage_errors(document.get("omitStages"), "omitStages")
    if not rules:
        errors.append(field.required("rules", "a policy without rules writes nothing down"))
    for number, rule in enumerate(rules):
        errors += _errors(rule, f"rules[{number}]")
    if errors:
        raise ValueError("; ".join(f"{error.field}: {error.body()}" for error in errors))
    omitted = frozenset(document.get("omitStages") or ())
    managed = bool(document.get("omitManagedFields"))
    return Policy(tuple(_rule(rule, omitted, omit_managed_fields=managed) for rule in rules))


def _rule(rule: Object, omitted: frozenset[str], *, omit_managed_fields: bool) -> Rule:
    own = rule.get("omitManagedFields")
    managed = omit_managed_fields if own is None else bool(own)

    def names(key: str) -> frozenset[str]:
        return frozenset(rule.get(key) or ())

    resources = tuple(
        GroupResources(
            each.get("group") or "", tuple(each.get("resources") or ()), tuple(each.get("resourceNames") or ())
        )
        for each in rule.get("resources") or ()
    )
    return Rule(
        Audited(rule["level"], omitted | names("omitStages"), managed),
        names("users"),
        names("userGroups"),
        names("verbs"),
        names("namespaces"),
        resources,
        tuple(rule.get("nonResourceURLs") or ()),
    )


def _errors(rule: Object, at: str) -> list[FieldError]:
    errors: list[FieldError] = []
    level = rule.get("level")
    if level not in LEVELS:
        make = field.not_supported(f"{at}.level", level, LEVELS) if level else field.required(f"{at}.level", "")
        errors.append(make)
    errors += _stage_errors(rule.get("omitStages"), f"{at}.omitStages")
    paths = rule.get("nonResourceURLs") or ()
    if paths and (rule.get("resources") or rule.get("namespaces")):
        why = "rules cannot apply to both regular resources and non-resource URLs"
        errors.append(field.invalid(f"{at}.nonResourceURLs", paths, why))
    for number, path in enumerate(paths):
        if path != "*" and not str(path).startswith("/"):
            why = 'non-resource URL rules must begin with a "/" character'
            errors.append(field.invalid(f"{at}.nonResourceURLs[{number}]", path, why))
        elif "*" in str(path)[:-1]:
            why = 'non-resource URL wildcards "*" must be the final character of the rule'
            errors.append(field.invalid(f"{at}.nonResourceURLs[{number}]", path, why))
    for number, each in enumerate(rule.get("resources") or ()):
        if each.get("resourceNames") and not each.get("resources"):
            why = "using resourceNames requires at least one resource"
            errors.append(field.invalid(f"{at}.resources[{number}].resourceNames", each["resourceNames"], why))
    return errors


def _stage_errors(stages: Any, at: str) -> list[FieldError]:
    wrong = [(number, stage) for number, stage in enumerate(stages or ()) if stage not in STAGES]
    return [field.not_supported(f"{at}[{number}]", stage, STAGES) for number, stage in wrong]
