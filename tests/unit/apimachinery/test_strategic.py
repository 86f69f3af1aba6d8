from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import strategic
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.strategic import MergeField, MergeSchema


class Schema:
    def __init__(self, **fields: MergeField) -> None:
        self.fields = fields

    def merge_field(self, name: str) -> MergeField | None:
        return self.fields.get(name)


ENV = Schema()
CONTAINER = Schema(
    env=MergeField("merge", "name", ENV),
    args=MergeField(),
    ports=MergeField("merge", "containerPort", Schema()),
)
SPEC: MergeSchema = Schema(
    containers=MergeField("merge", "name", CONTAINER),
    finalizers=MergeField("merge"),
    tolerations=MergeField(),
    strategy=MergeField("", "", Schema()),
    selector=MergeField("replace", "", Schema()),
    labels=MergeField(),
)

C1, C2, C3 = ({"name": name, "image": name} for name in "abc")


@pytest.mark.parametrize(
    ("doc", "patch", "want"),
    [
        # objects
        ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": None, "c": "3"}}, {"labels": {"b": "2", "c": "3"}}),
        ({"labels": {"a": "1"}}, {"labels": {"$patch": "replace", "c": "3"}}, {"labels": {"c": "3"}}),
        ({"labels": {"a": "1"}}, {"labels": {"$patch": "delete"}}, {"labels": {}}),
        ({"labels": {"a": "1"}}, {"labels": None}, {}),
        ({"selector": {"a": "1"}}, {"selector": {"b": "2"}}, {"selector": {"b": "2"}}),
        ({}, {"labels": {"a": None, "b": "1"}}, {"labels": {"b": "1"}}),
        # lists of objects
        ({"containers": [C1, C2]}, {"containers": [{"name": "b", "image": "x"}]},
         {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "x"}]}),
        ({"containers": [C1, C2]}, {"containers": [{"name": "c"}]}, {"containers": [{"name": "c"}, C1, C2]}),
        ({"containers": [C1, C2]}, {"containers": [{"name": "a", "$patch": "delete"}]}, {"containers": [C2]}),
        ({"containers": [C1, C2]}, {"containers": [C3, {"$patch": "replace"}]}, {"containers": [C3]}),
        ({"containers": [{**C1, "env": [{"name": "X", "value": "1"}]}]},
         {"containers": [{"name": "a", "env": [{"name": "X", "value": None, "valueFrom": {}}]}]},
         {"containers": [{**C1, "env": [{"name": "X", "valueFrom": {}}]}]}),
        ({"containers": [{**C1, "args": ["x"]}]}, {"containers": [{"name": "a", "args": ["y"]}]},
         {"containers": [{**C1, "args": ["y"]}]}),
        # order
        ({"containers": [C1, C2, C3]}, {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]},
         {"containers": [C2, C3, C1]}),
        ({"containers": [C1, C2]},
         {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}, {"name": "b"}], "containers": [C3]},
         {"containers": [C3, C1, C2]}),
        ({}, {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [C2, C1]},
         {"containers": [C2, C1]}),
        ({}, {"$setElementOrder/containers": []}, {}),
        # lists of primitives
        ({"finalizers": ["a", "b"]}, {"finalizers": ["c", "a"]}, {"finalizers": ["c", "a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a", "z"]}, {"finalizers": ["b"]}),
        ({}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {}),
        ({"finalizers": ["a", "b"]},
         {"$setElementOrder/finalizers": ["b", "c"], "finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]},
         {"finalizers": ["b", "c"]}),
        # other lists
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        # retainKeys
        ({"strategy": {"type": "A", "rolling": {}}}, {"strategy": {"$retainKeys": ["type"], "type": "B"}},
         {"strategy": {"type": "B"}}),
        # whole document
        ({"a": 1}, {"$patch": "replace", "b": 2}, {"b": 2}),
        ({"a": 1}, {"$patch": "delete"}, {}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)  # fmt: skip
def test_merging(doc: Any, patch: Any, want: Any) -> None:
    before = copy.deepcopy((doc, patch))
    assert strategic.apply(doc, patch, SPEC) == want
    assert (doc, patch) == before


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        ({"containers": [{"name": "a", "$patch": "bogus"}]}, 500,
         "unknown patch type: bogus in map: map[$patch:bogus name:a]"),
        ({"$patch": "merge"}, 500, "unknown patch type: merge in map: map[$patch:merge]"),
        ({"containers": [{"name": "a", "$patch": "merge"}]}, 500, "merging lists cannot yet be specified in the patch"),
        ({"containers": [{"image": "x"}]}, 500, "map: map[image:x] does not contain declared merge key: name"),
        ({"containers": [{"$patch": "delete"}]}, 500,
         "map: map[$patch:delete] does not contain declared merge key: name"),
        ({"$setElementOrder/containers": [{"name": "zz"}], "containers": [{"name": "a", "image": "x"}]}, 500,
         "The order in patch list:\n[map[image:x name:a]]\n doesn't match $setElementOrder list:\n[map[name:zz]]\n"),
        ({"$setElementOrder/containers": {}}, 500, "expected a []interface {}, but received a map[string]interface {}"),
        ({"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        ({"$deleteFromPrimitiveList": []}, 400, "invalid patch format of primitive list"),
        ({"$retainKeys": "x"}, 400, "invalid patch format of retainKeys"),
        ({"$retainKeys": ["x"], "y": 1}, 400, "invalid patch format of retainKeys"),
        ({"containers": ["x"]}, 500,
         "list element types are not identical: [[map[image:a name:a] map[image:b name:b]] [x]]"),
        ({"finalizers": [["x"]]}, 422, "the server rejected our request due to an error in our request"),
        ("x", 400,
         "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"),
    ],
)  # fmt: skip
def test_errors(patch: Any, code: int, message: str) -> None:
    with pytest.raises(StatusError) as error:
        strategic.apply({"containers": [C1, C2], "finalizers": ["a"]}, patch, SPEC)
    assert (error.value.code, error.value.message) == (code, message)


NAMES = st.sampled_from("abcde")
CONTAINERS = st.lists(
    st.builds(
        lambda name, image, env: {"name": name, "image": image, "env": env},
        NAMES,
        st.sampled_from("xyz"),
        st.lists(
            st.builds(lambda n, v: {"name": n, "value": v}, NAMES, NAMES), max_size=3, unique_by=lambda e: e["name"]
        ),
    ),
    max_size=4,
    unique_by=lambda container: str(container["name"]),
)
SPECS = st.builds(
    lambda containers, finalizers, labels: {"containers": containers, "finalizers": finalizers, "labels": labels},
    CONTAINERS,
    st.lists(NAMES, max_size=4, unique=True),
    st.dictionaries(NAMES, NAMES, max_size=3),
)


def list_difference(old: list[Any], new: list[Any], name: str, patch: dict[str, Any]) -> None:
    """What kubectl writes for a list of named objects."""
    before = {item["name"]: item for item in old}
    after = {item["name"]: item for item in new}
    changed: list[Any] = []
    for item in new:
        if item["name"] not in before:
            changed.append(item)
            continue
        one: dict[str, Any] = {"name": item["name"]}
        for key, value in item.items():
            if key == "env":
                list_difference(before[item["name"]]["env"], value, "env", one)
            elif before[item["name"]][key] != value:
                one[key] = value
        if len(one) > 1:
            changed.append(one)
    changed += [{"name": key, "$patch": "delete"} for key in before if key not in after]
    if changed or [item["name"] for item in old] != [item["name"] for item in new]:
        patch[f"$setElementOrder/{name}"] = [{"name": item["name"]} for item in new]
        if changed:
            patch[name] = changed


def spec_difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    list_difference(old["containers"], new["containers"], "containers", patch)
    if old["finalizers"] != new["finalizers"]:
        if new["finalizers"] or old["finalizers"]:
            patch["$setElementOrder/finalizers"] = new["finalizers"]
        patch["finalizers"] = [item for item in new["finalizers"] if item not in old["finalizers"]]
        patch["$deleteFromPrimitiveList/finalizers"] = [
            item for item in old["finalizers"] if item not in new["finalizers"]
        ]
    labels: dict[str, Any] = {key: None for key in old["labels"] if key not in new["labels"]}
    labels.update(new["labels"])
    patch["labels"] = labels
    return patch


def by_name(value: Any) -> Any:
    """Lists of named objects as mappings."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return {item["name"]: {key: by_name(inner) for key, inner in item.items()} for item in value}
    return value


@given(SPECS, SPECS)
def test_applying_a_difference_leads_there(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    got = strategic.apply(old, spec_difference(old, new), SPEC)
    assert old == before
    assert got["labels"] == new["labels"]
    assert by_name(got["containers"]) == by_name(new["containers"])
    assert [item["name"] for item in got["containers"]] == [item["name"] for item in new["containers"]]
    assert got["finalizers"] == new["finalizers"]


@given(SPECS, SPECS)
def test_merging_keeps_what_the_patch_does_not_name(old: Any, patch: Any) -> None:
    got = strategic.apply(old, patch, SPEC)
    names = {item["name"] for item in patch["containers"]}
    kept = [item for item in got["containers"] if item["name"] not in names]
    assert kept == [item for item in old["containers"] if item["name"] not in names]
    in_order = [item["name"] for item in got["containers"] if item["name"] in names]
    assert in_order == [item["name"] for item in patch["containers"]]
    assert set(got["finalizers"]) == set(old["finalizers"]) | set(patch["finalizers"])
    assert strategic.apply(got, patch, SPEC) == got
