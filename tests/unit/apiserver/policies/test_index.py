"""Which policies are in force, however they came and went."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.apiserver.conftest import FakeReader

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.apiserver.policies import compiled
from knarr.apiserver.policies.index import GROUP, VALIDATING, PolicyIndex

POLICIES, BINDINGS = registry.VALIDATINGADMISSIONPOLICIES, registry.VALIDATINGADMISSIONPOLICYBINDINGS
NAMES = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("policy"), NAMES, st.booleans()),
    st.tuples(st.just("binding"), NAMES, NAMES),
    st.tuples(st.sampled_from(["no policy", "no binding"]), NAMES, st.just("")),
)


def policy(name: str, generation: int) -> Object:
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}
    return {"metadata": {"name": name, "uid": name, "generation": generation}, "spec": spec}


def binding(name: str, of: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"policyName": of, "validationActions": ["Deny"]}}


class Cluster:
    """Objects, and an index that hears of them."""

    def __init__(self) -> None:
        self.reader = FakeReader()
        self.index = self.fresh()
        self.generation = 0

    def fresh(self) -> PolicyIndex:
        return PolicyIndex(self.reader, VALIDATING, compiled.validating)

    def put(self, resource: Resource, obj: Object) -> None:
        self.reader.add(resource.plural, obj, GROUP)
        self._tell(resource, obj, deleted=False)

    def remove(self, resource: Resource, name: str) -> None:
        obj = self.reader.get(resource.plural, GROUP, "", name)
        if obj is not None:
            self.reader.remove(resource.plural, "", name, GROUP)
            self._tell(resource, obj, deleted=True)

    def _tell(self, resource: Resource, obj: Object, *, deleted: bool) -> None:
        collection: Any = SimpleNamespace(resource=resource)
        change: Any = SimpleNamespace(entry=SimpleNamespace(decode=lambda: dict(obj)), deleted=deleted)
        self.index.on_change(collection, change)

    def carry_out(self, what: str, name: str, more: Any) -> None:
        if what == "policy":
            self.generation += bool(more)
            self.put(POLICIES, policy(name, self.generation))
        elif what == "binding":
            self.put(BINDINGS, binding(name, more))
        else:
            self.remove(POLICIES if what == "no policy" else BINDINGS, name)


def shown(index: PolicyIndex) -> list[tuple[str, list[str]]]:
    return [(hook.policy.name, [one.name for one in hook.bindings]) for hook in index.hooks()]


@given(st.lists(STEPS, max_size=20))
def test_after_any_changes_the_index_is_as_one_built_afresh(steps: list[tuple[str, str, Any]]) -> None:
    cluster = Cluster()
    for step in steps:
        cluster.carry_out(*step)
        assert shown(cluster.index) == shown(cluster.fresh())


def test_policies_come_by_name_and_only_with_bindings() -> None:
    cluster = Cluster()
    for name in ("b", "c", "a"):
        cluster.put(POLICIES, policy(name, 1))
    cluster.put(BINDINGS, binding("z", "a"))
    cluster.put(BINDINGS, binding("y", "a"))
    cluster.put(BINDINGS, binding("x", "b"))
    cluster.put(BINDINGS, binding("w", "none"))
    assert shown(cluster.index) == [("a", ["y", "z"]), ("b", ["x"])]


def test_what_is_compiled_stays_until_the_policy_says_something_else() -> None:
    cluster = Cluster()
    cluster.put(POLICIES, policy("a", 1))
    cluster.put(BINDINGS, binding("b", "a"))
    first = cluster.index.hooks()[0].policy
    cluster.put(POLICIES, policy("a", 1))
    assert cluster.index.hooks()[0].policy is first
    cluster.put(POLICIES, policy("a", 2))
    assert cluster.index.hooks()[0].policy is not first
