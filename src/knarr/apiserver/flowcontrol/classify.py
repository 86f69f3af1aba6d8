"""Which flow schema a request belongs to. Pure: schemas, user and request info in, a schema out.

Source of the rules: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.apiserver.request import RequestInfo, UserInfo

Match = Callable[[UserInfo, RequestInfo], bool]
_ALL = "*"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Schema:
    """A flow schema, ready to match."""

    name: str
    uid: str
    level: str
    #: What tells flows apart: `ByUser`, `ByNamespace` or nothing.
    method: str
    rules: Sequence[Match]

    def matches(self, user: UserInfo, info: RequestInfo) -> bool:
        """Whether a request belongs to it."""
        return any(rule(user, info) for rule in self.rules)

    def flow(self, user: UserInfo, info: RequestInfo) -> str:
        """Requests with the same text share a flow."""
        distinct = {"ByUser": user.name, "ByNamespace": info.namespace}.get(self.method, "")
        return f"{self.name}/{distinct}"


def compiled(schemas: Iterable[Object]) -> list[Schema]:
    """Schemas in the order in which they are tried."""
    ordered = sorted(schemas, key=lambda obj: (obj["spec"].get("matchingPrecedence", 1000), obj["metadata"]["name"]))
    return [_schema(obj) for obj in ordered]


def _schema(obj: Object) -> Schema:
    spec = obj["spec"]
    return Schema(
        name=obj["metadata"]["name"],
        uid=obj["metadata"]["uid"],
        level=spec["priorityLevelConfiguration"]["name"],
        method=(spec.get("distinguisherMethod") or {}).get("type", ""),
        rules=[_rule(rule) for rule in spec.get("rules") or ()],
    )


def _rule(rule: Object) -> Match:
    subjects = [_subject(subject) for subject in rule.get("subjects") or ()]
    resources = [_resource(part) for part in rule.get("resourceRules") or ()]
    others = [_non_resource(part) for part in rule.get("nonResourceRules") or ()]

    def matches(user: UserInfo, info: RequestInfo) -> bool:
        if not any(subject(user) for subject in subjects):
            return False
        return any(part(info) for part in (resources if info.is_resource else others))

    return matches


def _subject(subject: Object) -> Callable[[UserInfo], bool]:
    kind = subject.get("kind")
    if kind == "ServiceAccount":
        account = subject.get("serviceAccount") or {}
        prefix = f"{_ACCOUNT}{account.get('namespace', '')}:"
        name = account.get("name", "")
        if name == _ALL:
            return lambda user: user.name.startswith(prefix)
        return lambda user: user.name == prefix + name
    name = (subject.get("group" if kind == "Group" else "user") or {}).get("name", "")
    if name == _ALL:
        return lambda _: True
    if kind == "Group":
        return lambda user: name in user.groups
    return lambda user: user.name == name


def _resource(rule: Object) -> Callable[[RequestInfo], bool]:
    verbs, groups, resources = rule.get("verbs") or (), rule.get("apiGroups") or (), rule.get("resources") or ()
    namespaces, cluster = rule.get("namespaces") or (), bool(rule.get("clusterScope"))

    def matches(info: RequestInfo) -> bool:
        name = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        if not (_has(verbs, info.verb) and _has(groups, info.group) and _has(resources, name)):
            return False
        return _has(namespaces, info.namespace) if info.namespace else cluster

    return matches


def _non_resource(rule: Object) -> Callable[[RequestInfo], bool]:
    verbs, urls = rule.get("verbs") or (), rule.get("nonResourceURLs") or ()

    def matches(info: RequestInfo) -> bool:
        return _has(verbs, info.verb) and any(_covers(url, info.path) for url in urls)

    return matches


def _has(values: Sequence[str], value: str) -> bool:
    return _ALL in values or value in values


def _covers(url: str, path: str) -> bool:
    return url in (_ALL, path) or (url.endswith("/*") and path.startswith(url[:-1]))
