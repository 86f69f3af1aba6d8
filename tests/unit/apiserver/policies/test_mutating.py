"""What mutating policies make of objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import registry
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.matching.criteria import Match
from knarr.apiserver.policies import compiled, mutating
from knarr.apiserver.policies.body_kind import BodyKind
from knarr.apiserver.policies.compiled import Policy
from knarr.apiserver.policies.mutating import Failure, Reinvocation
from knarr.apiserver.request import UserInfo

KIND = BodyKind(Match(registry.PODS, registry.PODS.gvk))


def pod() -> Object:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}


def apply(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def policy(*mutations: Object, **spec: Any) -> Policy:
    match = {"resourceRules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}]}
    return compiled.mutating(
        {
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"failurePolicy": "Fail", "matchConstraints": match, "mutations": mutations, **spec},
        }
    )


def mutated(*mutations: Object, obj: Object | None = None, **spec: Any) -> tuple[Object, list[str]]:
    new, results = mutating.mutate(policy(*mutations, **spec), obj or pod(), KIND, {"request": {}, "oldObject": None})
    return new, [result.error for result in results if result.error]


def test_a_configuration_is_merged_and_defaults_are_set_again() -> None:
    sidecar = 'Object.spec.containers{name: "s", image: "j", ports: [Object.spec.containers.ports{containerPort: 80}]}'
    new, errors = mutated(apply(f"Object{{spec: Object.spec{{containers: [{sidecar}]}}}}"))
    assert not errors
    assert [item["name"] for item in new["spec"]["containers"]] == ["c", "s"]
    added = new["spec"]["containers"][1]
    assert added["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert added["terminationMessagePolicy"] == "File"


def test_each_mutation_sees_what_the_ones_before_it_made() -> None:
    first = apply('Object{metadata: Object.metadata{labels: {"a": "1"}}}')
    second = patch('[JSONPatch{op: "add", path: "/metadata/labels/b", value: object.metadata.labels.a + "2"}]')
    assert mutated(first, second)[0]["metadata"]["labels"] == {"a": "1", "b": "12"}


def test_objects_may_be_values_of_patches_and_keys_are_escaped() -> None:
    given_ = (
        '[JSONPatch{op: "add", path: "/metadata/labels", value: {}}, '
        'JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("x/y~z"), value: "1"}, '
        'JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "s", image: "j"}}]'
    )
    new, errors = mutated(patch(given_))
    assert not errors
    assert new["metadata"]["labels"] == {"x/y~z": "1"}
    assert new["spec"]["containers"][1]["name"] == "s"


@pytest.mark.parametrize(
    ("mutation", "error"),
    [
        (
            apply('Object{spec: Object.spec{nodes: "x"}}'),
            "error applying patch: failed to convert patch object to typed object: "
            ".spec.nodes: field not declared in schema",
        ),
        (
            apply("Object{spec: Object.metadata{}}"),
            'type mismatch: unexpected type name "Object.metadata", expected "Object.spec", '
            "which matches field name path from root Object type",
        ),
        (
            apply("object.spec.none"),
            "expression 'object.spec.none' resulted in error: no such key: none",
        ),
        (
            patch('[JSONPatch{op: "remove", path: "/spec/none"}]'),
            "JSONPath: error in remove for path: '/spec/none': Unable to remove nonexistent key: none: missing value",
        ),
    ],
)
def test_what_fails_changes_nothing(mutation: Object, error: str) -> None:
    new, errors = mutated(mutation)
    assert errors == [error]
    assert new == pod()


def test_whole_doubles_are_integers_where_those_belong() -> None:
    new, errors = mutated(apply("Object{spec: Object.spec{terminationGracePeriodSeconds: 5.0}}"))
    assert not errors
    assert new["spec"]["terminationGracePeriodSeconds"] == 5
    port = 'Object.spec.containers{name: "c", ports: [Object.spec.containers.ports{containerPort: 80.5}]}'
    new, (error,) = mutated(apply(f"Object{{spec: Object.spec{{containers: [{port}]}}}}"))
    assert "float64 to int32" in error or "80.5" in error
    assert new == pod()


def test_a_patch_that_makes_no_object_of_the_kind_is_refused() -> None:
    with pytest.raises(StatusError) as error:
        mutated(patch('[JSONPatch{op: "add", path: "/spec/nodes", value: "x"}]'))
    assert error.value.code == 500
    assert 'strict decoding error: unknown field "spec.nodes"' in error.value.message


def test_refusals_name_all_policies_that_failed() -> None:
    attributes = Attributes("CREATE", registry.PODS, "", "n", "p", pod(), None, UserInfo("u"), reader=None)  # type: ignore[arg-type]
    failures = [Failure("a", "b", "no", "Invalid"), Failure("c", "", "failed to configure policy: x")]
    error = mutating.refusal(attributes, failures)
    texts = [
        "policy 'a' with binding 'b' denied request: no",
        'policy "c" denied request: failed to configure policy: x',
    ]
    assert (error.code, error.reason, error.message) == (403, "Invalid", texts[0])
    assert error.details == {"name": "p", "kind": "pods", "causes": [{"message": text} for text in texts]}


@given(st.lists(st.sampled_from(["a", "b", "c", "change"]), max_size=8))
def test_who_was_asked_before_a_change_is_asked_again(story: list[str]) -> None:
    rounds = Reinvocation()
    for step in story:
        if step == "change":
            rounds.changed()
        else:
            rounds.asked((step,))
    last = max((index for index, step in enumerate(story) if step == "change"), default=-1)
    for name in "abc":
        assert rounds.asks_again((name,)) == (name in story[: last + 1])
