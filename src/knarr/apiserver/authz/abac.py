"""Attribute-based access control: policies from a file, one JSON object a line, read once.

Source: https://kubernetes.io/docs/reference/access-authn-authz/abac/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from knarr.apimachinery.types import Object
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.request import RequestInfo, UserInfo

_API_VERSION = "abac.authorization.kubernetes.io/v1beta1"
_TEXTS = ("user", "group", "namespace", "apiGroup", "resource", "nonResourcePath")
_READS = ("get", "list", "watch")
_ALLOWED = Decision(True)
_REFUSED = Decision(False, "No policy matched.")


@dataclass(frozen=True, slots=True)
class Policy:
    """One line: empty fields match nothing, `*` matches everything."""

    user: str = ""
    group: str = ""
    namespace: str = ""
    apiGroup: str = ""  # noqa: N815 - Kubernetes' name
    resource: str = ""
    nonResourcePath: str = ""  # noqa: N815 - Kubernetes' name
    readonly: bool = False

    def concerns(self, user: UserInfo) -> bool:
        """Whether it is about this user: each of user and group that is given must match."""
        if not self.user and not self.group:
            return False
        if self.user and self.user not in ("*", user.name):
            return False
        return not self.group or self.group == "*" or self.group in user.groups

    def allows(self, info: RequestInfo) -> bool:
        """Whether it allows whom it concerns this request."""
        if self.readonly and info.verb not in _READS:
            return False
        if not info.is_resource:
            path = self.nonResourcePath
            return path in ("*", info.path) or (path.endswith("*") and info.path.startswith(path[:-1]))
        pairs = ((self.namespace, info.namespace), (self.resource, info.resource), (self.apiGroup, info.group))
        return all(wanted in ("*", found) for wanted, found in pairs)


class AbacAuthorizer:
    """Allows what one of the policies allows."""

    def __init__(self, text: str) -> None:
        """Raises `ValueError` for a line that is no policy."""
        lines = enumerate(text.splitlines(), 1)
        stripped = ((number, line.strip()) for number, line in lines)
        self._policies = tuple(_policy(number, line) for number, line in stripped if line and not line.startswith("#"))

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision | None:
        """Its decision."""
        if any(policy.concerns(user) and policy.allows(info) for policy in self._policies):
            return _ALLOWED
        return _REFUSED

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList | None:
        """What the policies let a user do in a namespace."""
        resources: list[Object] = []
        paths: list[Object] = []
        for policy in self._policies:
            if not policy.concerns(user):
                continue
            verbs = list(_READS) if policy.readonly else ["*"]
            if policy.resource and policy.namespace in ("*", namespace):
                resources.append({"verbs": verbs, "apiGroups": [policy.apiGroup], "resources": [policy.resource]})
            if policy.nonResourcePath:
                paths.append({"verbs": verbs, "nonResourceURLs": [policy.nonResourcePath]})
        return RuleList(resources, paths)


def _policy(number: int, line: str) -> Policy:
    try:
        found: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"line {number}: {error}") from error
    if not isinstance(found, dict) or found.get("apiVersion") != _API_VERSION or found.get("kind") != "Policy":
        raise ValueError(f"line {number}: a Policy of {_API_VERSION} is wanted")
    spec = found.get("spec") or {}
    if not isinstance(spec, dict) or not all(isinstance(spec.get(name) or "", str) for name in _TEXTS):
        raise ValueError(f"line {number}: the spec of a Policy is wanted")
    texts: dict[str, Any] = {name: spec.get(name) or "" for name in _TEXTS}
    return Policy(**texts, readonly=spec.get("readonly") is True)
