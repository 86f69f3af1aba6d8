"""Nobody grants what he does not hold: the checks on writes of roles and bindings.

Input: the write and the authorizers. Output: a refusal, or nothing.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.resources import Resource
from knarr.apimachinery.errors import forbidden, not_found
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz.chain import AuthorizerChain
from knarr.apiserver.authz.covers import compact, show_rule, uncovered
from knarr.apiserver.authz.decision import MASTERS
from knarr.apiserver.authz.rbac import GROUP, role_missing
from knarr.apiserver.request import RequestInfo, UserInfo

_PLURALS = {"Role": "roles", "ClusterRole": "clusterroles"}
_ROLES = frozenset(_PLURALS.values())
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})
_EVERYTHING: tuple[Object, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
_OWNERSHIP = frozenset({"ownerReferences", "finalizers", "managedFields", "resourceVersion"})


def concerns(resource: Resource) -> bool:
    """Whether these are roles or bindings."""
    return resource.group == GROUP


def check(attributes: Attributes, authorizers: AuthorizerChain) -> None:
    """Refuse a write that grants more than its user holds.

    Call it for creates and updates after mutating admission, before validation. Raises `StatusError`.
    """
    if attributes.resource.group != GROUP or attributes.object is None or attributes.subresource:
        return
    if MASTERS in attributes.user.groups:
        return
    plural = attributes.resource.plural
    if plural in _ROLES:
        _check_role(attributes, authorizers)
    elif plural in _BINDINGS:
        _check_binding(attributes, authorizers)


def _check_role(attributes: Attributes, authorizers: AuthorizerChain) -> None:
    obj, old = attributes.object or {}, attributes.old_object
    resource, namespace = attributes.resource, attributes.namespace
    # The name of a new object is no part of its request.
    asked = "" if attributes.operation == "CREATE" else attributes.name
    if authorizers.authorize(attributes.user, _question("escalate", resource.plural, namespace, asked)).allowed:
        return
    if old is not None and _only_ownership_changed(obj, old):
        return
    name = obj["metadata"].get("name", "")
    _confirm(attributes, authorizers, obj.get("rules") or (), name)
    # An aggregated role can collect anything, and keeps others from narrowing it.
    if (obj.get("aggregationRule") or (old or {}).get("aggregationRule")) and _missing(
        authorizers, attributes.user, namespace, _EVERYTHING
    )[0]:
        why = "must have cluster-admin privileges to use the aggregationRule"
        raise forbidden(resource.plural, GROUP, name, why)


def _check_binding(attributes: Attributes, authorizers: AuthorizerChain) -> None:
    obj, old = attributes.object or {}, attributes.old_object
    if old is not None and _only_ownership_changed(obj, old):
        return
    ref = obj.get("roleRef") or {}
    role = ref.get("name", "")
    plural = _PLURALS.get(ref.get("kind", ""))
    namespace = attributes.namespace
    if plural and authorizers.authorize(attributes.user, _question("bind", plural, namespace, role)).allowed:
        return
    rules = authorizers.rbac.role(namespace if plural == "roles" else "", role)
    if rules is None:
        raise not_found(attributes.resource.plural, GROUP, role)
    _confirm(attributes, authorizers, [rule.source for rule in rules.rules], obj["metadata"].get("name", ""))


def _question(verb: str, resource: str, namespace: str, name: str) -> RequestInfo:
    return RequestInfo(verb, "", True, GROUP, "*", namespace, resource, "", name)


def _confirm(attributes: Attributes, authorizers: AuthorizerChain, rules: Iterable[Object], name: str) -> None:
    missing, unresolved = _missing(authorizers, attributes.user, attributes.namespace, rules)
    if missing:
        raise forbidden(attributes.resource.plural, GROUP, name, _sentence(attributes.user, missing, unresolved))


def _missing(
    authorizers: AuthorizerChain, user: UserInfo, namespace: str, rules: Iterable[Object]
) -> tuple[list[Object], list[tuple[str, str]]]:
    held, unresolved = authorizers.rbac.rules(user, namespace)
    return uncovered([rule.source for rule in held], rules), unresolved


def _sentence(user: UserInfo, missing: list[Object], unresolved: list[tuple[str, str]]) -> str:
    groups = " ".join(map(quote, user.groups))
    lines = sorted(show_rule(rule) for rule in compact(missing))
    head = f"user {quote(user.name)} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n"
    text = head + "\n".join(lines)
    if unresolved:
        texts = [role_missing(role).message for role in dict.fromkeys(unresolved)]
        text += f"; resolution errors: [{', '.join(texts)}]"
    return text


def _only_ownership_changed(obj: Object, old: Object) -> bool:
    """Tell whether the write changes owners and finalizers alone, as the garbage collector does."""
    return _without_ownership(obj) == _without_ownership(old)


def _without_ownership(obj: Object) -> Object:
    meta = {key: value for key, value in obj["metadata"].items() if key not in _OWNERSHIP}
    return {**obj, "metadata": meta}
