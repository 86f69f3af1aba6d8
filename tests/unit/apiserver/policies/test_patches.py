"""What mutations make of objects."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api import codec
from knarr.apimachinery.types import Object
from knarr.apiserver.policies import patches

SCHEMA = codec.ownership("apps/v1", "Deployment")
assert SCHEMA is not None


def deployment(**spec: Any) -> Object:
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"old": "1"}}}
    return {**head, "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": pod, **spec}}


def configured(config: Object) -> Object:
    assert SCHEMA is not None
    return patches.configured(SCHEMA, deployment(), config)


def test_maps_and_keyed_lists_are_merged() -> None:
    sidecar = {"name": "s", "image": "j"}
    config = {
        "metadata": {"labels": {"new": "2"}},
        "spec": {"template": {"spec": {"containers": [sidecar, {"name": "c", "workingDir": "/"}]}}},
    }
    made = configured(config)
    assert made["metadata"]["labels"] == {"old": "1", "new": "2"}
    assert made["spec"]["replicas"] == 1
    containers = {item["name"]: item for item in made["spec"]["template"]["spec"]["containers"]}
    assert containers == {"s": sidecar, "c": {"name": "c", "image": "i", "workingDir": "/"}}


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {"spec": {"selector": {"matchLabels": {"x": "y"}}}},
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector",
        ),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "c", "args": ["x"]}]}}}},
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.template.spec.containers[0].args",
        ),
        (
            {"spec": {"replica": 3}},
            "failed to convert patch object to typed object: .spec.replica: field not declared in schema",
        ),
        (
            {"spec": {"replicas": "3"}},
            "failed to convert patch object to typed object: "
            ".spec.replicas: expected numeric (int or float), got string",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused_as_a_whole(config: Object, text: str) -> None:
    with pytest.raises(ValueError, match="error applying patch") as error:
        configured(config)
    assert str(error.value) == f"error applying patch: {text}"


def test_a_test_that_fails_leaves_everything_as_it_is() -> None:
    obj = deployment()
    steps = [
        {"op": "replace", "path": "/spec/replicas", "value": 3},
        {"op": "test", "path": "/spec/replicas", "value": 4},
    ]
    assert patches.patched(obj, steps) is obj


def test_a_patch_that_leads_nowhere_says_so() -> None:
    with pytest.raises(ValueError, match="JSONPath: remove operation does not apply: doc is missing path"):
        patches.patched(deployment(), [{"op": "remove", "path": "/spec/none/x"}])


@given(st.dictionaries(st.sampled_from("abcd"), st.text(max_size=3), max_size=4))
def test_merging_twice_is_merging_once_and_changes_nothing_in_place(labels: dict[str, str]) -> None:
    assert SCHEMA is not None
    obj, config = deployment(), {"metadata": {"labels": labels}}
    before = copy.deepcopy((obj, config))
    once = patches.configured(SCHEMA, obj, config)
    assert patches.configured(SCHEMA, once, config) == once
    assert (obj, config) == before
