"""RBAC: the index must decide as the plainest reading of the rules does, after any history."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.types import Object
from knarr.apiserver.authz.covers import break_down, uncovered
from knarr.apiserver.authz.rbac import RbacIndex
from knarr.apiserver.authz.rules import RuleSet, compile_rule
from knarr.apiserver.request import RequestInfo, UserInfo

VERBS = ["get", "list", "*"]
GROUPS = ["", "apps", "*"]
RESOURCES = ["pods", "pods/log", "*/log", "deployments", "*"]
NAMES = ["a", "b"]
URLS = ["/healthz", "/api/*", "*"]


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True)


resource_rules = st.fixed_dictionaries(
    {"verbs": some(VERBS), "apiGroups": some(GROUPS), "resources": some(RESOURCES), "resourceNames": some(NAMES)}
)
path_rules = st.fixed_dictionaries({"verbs": some(VERBS), "nonResourceURLs": some(URLS)})
rules = st.lists(resource_rules | path_rules, max_size=4)

requests = st.builds(
    RequestInfo,
    verb=st.sampled_from(["get", "list", "delete"]),
    path=st.sampled_from(["/healthz", "/api/v1", "/metrics"]),
    is_resource=st.booleans(),
    group=st.sampled_from(["", "apps", "batch"]),
    namespace=st.sampled_from(["", "ns1", "ns2"]),
    resource=st.sampled_from(["pods", "deployments", "jobs"]),
    subresource=st.sampled_from(["", "log", "status"]),
    name=st.sampled_from(["", "a", "c"]),
)
users = st.builds(
    UserInfo,
    name=st.sampled_from(["alice", "bob", "system:serviceaccount:ns1:sa"]),
    groups=st.lists(st.sampled_from(["devs", "ops"]), max_size=2, unique=True).map(tuple),
)


def naive_rule(rule: Object, info: RequestInfo) -> bool:
    """One rule, read word by word."""
    verbs = rule["verbs"]
    if "*" not in verbs and info.verb not in verbs:
        return False
    if not info.is_resource:
        urls = rule.get("nonResourceURLs", [])
        return any(url == info.path or (url[-1] == "*" and info.path.startswith(url[:-1])) for url in urls)
    full = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    resources = rule.get("resources", [])
    if not any(item in ("*", full) or (info.subresource and item == f"*/{info.subresource}") for item in resources):
        return False
    if not any(item in ("*", info.group) for item in rule.get("apiGroups", [])):
        return False
    names = rule.get("resourceNames", [])
    return not names or info.name in names


@given(rules, requests)
def test_a_role_allows_what_one_of_its_rules_allows(role: list[Object], info: RequestInfo) -> None:
    expected = any(naive_rule(rule, info) for rule in role)
    assert RuleSet(role).allows(info) is expected
    assert any(compile_rule(rule).allows(info) for rule in role) is expected


subjects = st.lists(
    st.sampled_from(
        [
            {"kind": "User", "name": "alice"},
            {"kind": "User", "name": "system:serviceaccount:ns1:sa"},
            {"kind": "Group", "name": "devs"},
            {"kind": "Group", "name": "ops"},
            {"kind": "ServiceAccount", "name": "sa", "namespace": "ns1"},
            {"kind": "ServiceAccount", "name": "sa"},
            {"kind": "Robot", "name": "alice"},
        ]
    ),
    max_size=2,
)
namespaces = st.sampled_from(["", "ns1", "ns2"])
names = st.sampled_from(["x", "y"])


@st.composite
def events(draw: st.DrawFn) -> tuple[str, str, Object]:
    namespace, name = draw(namespaces), draw(names)
    kind = "ADDED" if draw(st.integers(0, 3)) else "DELETED"
    meta: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
    if draw(st.booleans()):
        return ("roles" if namespace else "clusterroles"), kind, {"metadata": meta, "rules": draw(rules)}
    ref = {"kind": "Role" if namespace and draw(st.booleans()) else "ClusterRole", "name": draw(names)}
    binding = {"metadata": meta, "roleRef": ref, "subjects": draw(subjects)}
    return ("rolebindings" if namespace else "clusterrolebindings"), kind, binding


def names_user(subject: Object, home: str, user: UserInfo) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == user.name)
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    namespace = subject.get("namespace", home)
    return bool(
        subject["kind"] == "ServiceAccount"
        and namespace
        and user.name == f"system:serviceaccount:{namespace}:{subject['name']}"
    )


def naive_authorize(state: dict[tuple[str, str, str], Object], user: UserInfo, info: RequestInfo) -> bool:
    """All bindings, all rules, no index."""
    scopes = {"", info.namespace} if info.is_resource else {""}
    for (resource, namespace, _), binding in state.items():
        if not resource.endswith("bindings") or namespace not in scopes:
            continue
        if not any(names_user(subject, namespace, user) for subject in binding["subjects"]):
            continue
        ref = binding["roleRef"]
        key = ("roles", namespace, ref["name"]) if ref["kind"] == "Role" else ("clusterroles", "", ref["name"])
        role = state.get(key)
        if role is not None and any(naive_rule(rule, info) for rule in role["rules"]):
            return True
    return False


@given(st.lists(events(), max_size=12), users, requests)
def test_the_index_decides_as_a_full_look_does(
    history: list[tuple[str, str, Object]], user: UserInfo, info: RequestInfo
) -> None:
    index = RbacIndex()
    state: dict[tuple[str, str, str], Object] = {}
    for resource, kind, obj in history:
        key = (resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if kind == "DELETED":
            state.pop(key, None)
        else:
            state[key] = obj
        index.on_event(resource, kind, obj)
        index.authorize(user, info)  # fills the cache that the next event must clear
    assert index.authorize(user, info).allowed is naive_authorize(state, user, info)


@given(rules, rules, requests)
def test_uncovered_is_empty_only_when_nothing_more_is_granted(
    owned: list[Object], wanted: list[Object], info: RequestInfo
) -> None:
    if not uncovered(owned, wanted) and any(naive_rule(rule, info) for rule in wanted):
        assert any(naive_rule(rule, info) for rule in owned)


@given(rules)
def test_everybody_covers_his_own_rules(owned: list[Object]) -> None:
    assert uncovered(owned, owned) == []


@given(resource_rules | path_rules, requests)
def test_a_broken_down_rule_grants_the_same(rule: Object, info: RequestInfo) -> None:
    parts: list[Any] = list(break_down(rule))
    assert any(naive_rule(part, info) for part in parts) is naive_rule(rule, info)


def test_reasons_name_binding_role_and_subject() -> None:
    index = RbacIndex()
    index.on_event(
        "roles",
        "ADDED",
        {
            "metadata": {"namespace": "ns", "name": "r"},
            "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
        },
    )
    binding: Object = {
        "metadata": {"namespace": "ns", "name": "rb"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "default"}],
    }
    index.on_event("rolebindings", "ADDED", binding)
    info = RequestInfo("get", "", True, "", "v1", "ns", "pods")
    decision = index.authorize(UserInfo("system:serviceaccount:ns:default"), info)
    assert decision.reason == 'RBAC: allowed by RoleBinding "rb/ns" of Role "r" to ServiceAccount "default/ns"'


def test_a_missing_role_is_told() -> None:
    index = RbacIndex()
    binding: Object = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "gone"},
        "subjects": [{"kind": "User", "name": "a"}],
    }
    index.on_event("clusterrolebindings", "ADDED", binding)
    decision = index.authorize(UserInfo("a"), RequestInfo("get", "", True, "", "v1", "", "pods"))
    assert not decision.allowed
    assert decision.reason == 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'
