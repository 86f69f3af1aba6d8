"""Which policies a request is judged by."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.policies import compiled
from knarr.apiserver.policies.compiled import Binding
from knarr.apiserver.policies.index import Hook
from knarr.apiserver.policies.params import Params
from knarr.apiserver.policies.selection import Invocation, Selector, Unusable
from knarr.apiserver.request import UserInfo
from knarr.apiserver.served import ServedResources
from knarr.apiserver.watch_cache import WatchCache

SERVED = ServedResources(WatchCache())
SERVED.add_all(registry.RESOURCES)
SCALERS = [registry.lookup("autoscaling", version, "horizontalpodautoscalers") for version in ("v1", "v2")]
RESOURCES = [registry.PODS, registry.NAMESPACES, registry.resource("deployments", "apps"), *SCALERS]
BINDING = Binding("b", "p", None, None, ("Deny",))


def selector() -> Selector:
    return Selector(Params(SERVED), SERVED.equivalents, lambda: SERVED.generation)


def select(hooks: tuple[Hook, ...], request: Attributes) -> list[Invocation | Unusable]:
    async def main() -> list[Invocation | Unusable]:
        return [one async for one in selector().select(hooks, request)]

    return asyncio.run(main())


def hook(*rules: Object, name: str = "p", **constraints: Any) -> Hook:
    spec = {"matchConstraints": {"resourceRules": rules, **constraints}, "validations": [{"expression": "true"}]}
    return Hook(compiled.validating({"metadata": {"name": name, "uid": name}, "spec": spec}), (BINDING,))


def attributes(resource: Any, operation: Any = "CREATE", subresource: str = "") -> Attributes:
    reader = FakeReader()
    reader.add("namespaces", {"metadata": {"name": "n"}})
    namespace = "n" if resource.namespaced else ""
    return Attributes(operation, resource, subresource, namespace, "x", {}, None, UserInfo("u"), reader)


def some(*names: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(["*", *names]), min_size=1, max_size=2)


RULES = st.fixed_dictionaries(
    {
        "operations": some("CREATE", "UPDATE", "DELETE"),
        "apiGroups": some("", "apps", "autoscaling"),
        "apiVersions": some("v1", "v2"),
        "resources": some("pods", "pods/status", "deployments", "horizontalpodautoscalers", "*/scale", "namespaces"),
        "scope": st.sampled_from(["*", "Namespaced", "Cluster"]),
        "resourceNames": st.sampled_from([[], ["x"], ["y"]]),
    }
)


@given(
    st.lists(RULES, min_size=1, max_size=3),
    st.sampled_from(["Equivalent", "Exact"]),
    st.sampled_from(RESOURCES),
    st.sampled_from(["CREATE", "UPDATE", "DELETE"]),
    st.sampled_from(["", "status", "scale"]),
)
def test_no_policy_that_matches_is_passed_over(
    rules: list[Object], policy: str, resource: Any, operation: str, subresource: str
) -> None:
    one, request = hook(*rules, matchPolicy=policy), attributes(resource, operation, subresource)
    found = [item for item in select((one,), request) if isinstance(item, Invocation)]
    match = one.policy.criteria.match(request, SERVED.equivalents)
    assert [item.match for item in found] == ([match] if match is not None else [])


def test_policies_are_found_anew_when_they_change() -> None:
    pods = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    one, request = selector(), attributes(registry.PODS)
    before = (hook(pods, name="a"),)
    assert one.concerned(before, request) == before
    after = (*before, hook(pods, name="b"), hook({**pods, "resources": ["nodes"]}, name="c"))
    assert one.concerned(after, request) == after[:2]


def test_policies_and_reviews_are_never_asked_about() -> None:
    every = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    hooks = (hook(every),)
    for resource in (registry.VALIDATINGADMISSIONPOLICIES, registry.resource("tokenreviews", "authentication.k8s.io")):
        assert not select(hooks, attributes(resource))


def test_a_policy_whose_parameters_are_unknown_is_told_once_for_all_its_bindings() -> None:
    pods = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    spec = {
        "paramKind": {"apiVersion": "none.example.com/v1", "kind": "None"},
        "matchConstraints": {"resourceRules": [pods]},
        "validations": [{"expression": "true"}],
    }
    policy = compiled.validating({"metadata": {"name": "p", "uid": "p"}, "spec": spec})
    (found,) = select((Hook(policy, (BINDING, BINDING)),), attributes(registry.PODS))
    assert isinstance(found, Unusable)
    assert (found.binding, found.why.partition(":")[0]) == ("", "failed to configure policy")
