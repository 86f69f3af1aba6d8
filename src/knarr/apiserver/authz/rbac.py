"""The RBAC authorizer: an index of roles and bindings, kept current by events.

Input: the RBAC objects as they come and go (`on_event`). Output: decisions, and the rules of a user.
Invariant: after any sequence of events the answers are those of an index built afresh from the objects that exist.
Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from knarr.apimachinery.errors import StatusError, not_found
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.authz.decision import Decision, RuleList
from knarr.apiserver.authz.rules import Rule, RuleSet
from knarr.apiserver.request import RequestInfo, UserInfo

GROUP = "rbac.authorization.k8s.io"
#: Users whose grants are remembered between two changes of RBAC objects.
_REMEMBERED = 4096
_EMPTY = RuleSet(())
_ALLOWED: dict[str, Decision] = {}


class Grant(NamedTuple):
    """One subject of one binding: who it is for, which role it gives, and the words of the reason."""

    subject: str
    role: tuple[str, str]
    reason: str


class RbacIndex:
    """Roles and bindings by what a request asks for. Answers the `Authorizer` protocol."""

    def __init__(self) -> None:
        #: (namespace, name) -> rules; cluster roles have the empty namespace.
        self._roles: dict[tuple[str, str], RuleSet] = {}
        #: (namespace, name) -> the binding's grants; cluster role bindings have the empty namespace.
        self._bindings: dict[tuple[str, str], tuple[Grant, ...]] = {}
        #: namespace -> subject -> grants by binding name.
        self._by_subject: dict[str, dict[str, dict[str, list[Grant]]]] = {}
        self._grants_of: dict[tuple[str, tuple[str, ...], str], tuple[Grant, ...]] = {}

    # keeping current

    def on_event(self, resource: str, event: str, obj: Object) -> None:
        """Take in one change of a role or binding. `event` is ADDED, MODIFIED or DELETED."""
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        deleted = event == "DELETED"
        if resource in ("clusterroles", "roles"):
            if deleted:
                self._roles.pop(key, None)
            else:
                self._roles[key] = RuleSet(obj.get("rules"))
        elif resource in ("clusterrolebindings", "rolebindings"):
            self._unbind(key)
            if not deleted:
                self._bind(key, obj)

    def _bind(self, key: tuple[str, str], binding: Object) -> None:
        grants = tuple(_grants(key, binding))
        self._bindings[key] = grants
        subjects = self._by_subject.setdefault(key[0], {})
        for grant in grants:
            subjects.setdefault(grant.subject, {}).setdefault(key[1], []).append(grant)
        self._grants_of.clear()

    def _unbind(self, key: tuple[str, str]) -> None:
        namespace, name = key
        subjects = self._by_subject.get(namespace, {})
        for grant in self._bindings.pop(key, ()):
            bindings = subjects.get(grant.subject)
            if bindings is not None and bindings.pop(name, None) is not None and not bindings:
                del subjects[grant.subject]
        if not subjects:
            self._by_subject.pop(namespace, None)
        self._grants_of.clear()

    # answering

    def grants(self, user: UserInfo, namespace: str) -> tuple[Grant, ...]:
        """The grants of a user in one namespace, or (`""`) those of cluster role bindings."""
        key = (user.name, user.groups, namespace)
        known = self._grants_of.get(key)
        if known is None:
            if len(self._grants_of) >= _REMEMBERED:
                self._grants_of.clear()
            known = self._grants_of[key] = tuple(self._collect(user, namespace))
        return known

    def _collect(self, user: UserInfo, namespace: str) -> Iterator[Grant]:
        subjects = self._by_subject.get(namespace)
        if not subjects:
            return
        for subject in ("u:" + user.name, *("g:" + group for group in dict.fromkeys(user.groups))):
            for grants in subjects.get(subject, {}).values():
                yield from grants

    def authorize(self, user: UserInfo, info: RequestInfo) -> Decision:
        """Tell whether RBAC alone allows this. The reason of a refusal names bound roles that do not exist."""
        missing: list[tuple[str, str]] = []
        scopes = ("", info.namespace) if info.is_resource and info.namespace else ("",)
        for scope in scopes:
            for grant in self.grants(user, scope):
                rules = self._roles.get(grant.role)
                if rules is None:
                    missing.append(grant.role)
                elif rules.allows(info):
                    return _allowed(grant.reason)
        return Decision(False, _missing_reason(missing)) if missing else _REFUSED

    def role(self, namespace: str, name: str) -> RuleSet | None:
        """The rules of a role (cluster roles have the empty namespace), None when there is no such role."""
        return self._roles.get((namespace, name))

    def rules(self, user: UserInfo, namespace: str) -> tuple[list[Rule], list[tuple[str, str]]]:
        """All rules that apply to a user in a namespace (and cluster-wide), and the bound roles that are missing."""
        rules: list[Rule] = []
        missing = []
        for scope in ("", namespace) if namespace else ("",):
            for grant in self.grants(user, scope):
                found = self._roles.get(grant.role)
                if found is None:
                    missing.append(grant.role)
                else:
                    rules += found.rules
        return rules, missing

    def rules_for(self, user: UserInfo, namespace: str) -> RuleList:
        """The rules of a user, as `SelfSubjectRulesReview` lists them."""
        rules, missing = self.rules(user, namespace)
        resource_rules = []
        path_rules = []
        for rule in rules:
            source = rule.source
            if source.get("resources"):
                resource_rules.append(_pick(source, "verbs", "apiGroups", "resources", "resourceNames"))
            if source.get("nonResourceURLs"):
                path_rules.append(_pick(source, "verbs", "nonResourceURLs"))
        return RuleList(resource_rules, path_rules, bool(missing), _aggregate(missing))


_REFUSED = Decision(False)


def _allowed(reason: str) -> Decision:
    decision = _ALLOWED.get(reason)
    if decision is None:
        if len(_ALLOWED) >= _REMEMBERED:
            _ALLOWED.clear()
        decision = _ALLOWED[reason] = Decision(True, reason)
    return decision


def _pick(rule: Object, *names: str) -> Object:
    return {name: rule[name] for name in names if rule.get(name)}


def role_missing(role: tuple[str, str]) -> StatusError:
    """The 404 of a role that a binding names. Role kinds are named in lower case, as the lister does."""
    return not_found("role" if role[0] else "clusterrole", GROUP, role[1])


def _aggregate(missing: list[tuple[str, str]]) -> str:
    texts = list(dict.fromkeys(role_missing(role).message for role in missing))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


def _missing_reason(missing: list[tuple[str, str]]) -> str:
    return f"RBAC: {_aggregate(missing)}"


def _grants(key: tuple[str, str], binding: Object) -> Iterator[Grant]:
    """The grants of one binding, one a subject that can be a user or group."""
    namespace, name = key
    ref = binding.get("roleRef") or {}
    kind, role_name = ref.get("kind", ""), ref.get("name", "")
    role = (namespace if kind == "Role" else "", role_name)
    if namespace:
        head = f"RBAC: allowed by RoleBinding {quote(f'{name}/{namespace}')} of {kind} {quote(role_name)}"
    else:
        head = f"RBAC: allowed by ClusterRoleBinding {quote(name)} of {kind} {quote(role_name)}"
    for subject in binding.get("subjects") or ():
        who = subject_key(subject, namespace)
        if who:
            yield Grant(who, role, f"{head} to {_describe_subject(subject, namespace)}")


def subject_key(subject: Object, namespace: str) -> str:
    """Whom a subject names: `u:` and a user name, or `g:` and a group; empty for none."""
    kind, name = subject.get("kind"), str(subject.get("name", ""))
    if kind == "User":
        return "u:" + name
    if kind == "Group":
        return "g:" + name
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return f"u:system:serviceaccount:{home}:{name}" if home else ""
    return ""


def _describe_subject(subject: Object, namespace: str) -> str:
    name = subject.get("name", "")
    if subject["kind"] == "ServiceAccount":
        # A subject without a namespace is one of the binding's own.
        return f"ServiceAccount {quote(name + '/' + (subject.get('namespace') or namespace))}"
    return f"{subject['kind']} {quote(name)}"
