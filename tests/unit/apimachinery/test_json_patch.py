from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import json_patch
from knarr.apimachinery.errors import StatusError

DOC = {"a": {"b": [1, 2, 3], "x/y": 1, "m~n": 2}, "s": "t", "n": None}


@pytest.mark.parametrize(
    ("operations", "want"),
    [
        ([{"op": "add", "path": "/a/b/-", "value": 4}], {"a": {**DOC["a"], "b": [1, 2, 3, 4]}}),  # type: ignore[dict-item]
        ([{"op": "add", "path": "/a/b/0", "value": 0}], {"a": {**DOC["a"], "b": [0, 1, 2, 3]}}),  # type: ignore[dict-item]
        ([{"op": "remove", "path": "/a/b/-1"}], {"a": {**DOC["a"], "b": [1, 2]}}),  # type: ignore[dict-item]
        ([{"op": "replace", "path": "/a/x~1y", "value": 5}], {"a": {**DOC["a"], "x/y": 5}}),  # type: ignore[dict-item]
        ([{"op": "replace", "path": "/none", "value": 1}], {**DOC, "none": 1}),
        ([{"op": "replace", "path": "/a/m~0n", "value": 5}], {"a": {**DOC["a"], "m~n": 5}}),  # type: ignore[dict-item]
        ([{"op": "move", "from": "/s", "path": "/z"}], {"s": ..., "z": "t"}),
        ([{"op": "copy", "from": "/s", "path": "/z"}], {"z": "t"}),
        ([{"op": "add", "path": "/z"}], {"z": None}),
        ([{"op": "test", "path": "/n", "value": None}], {}),
        ([{"op": "test", "path": "/none", "value": None}], {}),
        ([{"op": "test", "path": "/a/b", "value": [1, 2, 3]}], {}),
    ],
)
def test_operations(operations: list[Any], want: dict[str, Any]) -> None:
    before = copy.deepcopy(DOC)
    expected = {key: value for key, value in {**DOC, **want}.items() if value is not ...}
    assert json_patch.apply(DOC, operations) == expected
    assert before == DOC


def test_whole_document() -> None:
    assert json_patch.apply(DOC, [{"op": "replace", "path": "", "value": {"z": 1}}]) == {"z": 1}
    assert json_patch.apply(DOC, [{"op": "test", "path": "", "value": DOC}]) == DOC


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/none/x", "value": 1},
        {"op": "add", "path": "/a/b/5", "value": 1},
        {"op": "add", "path": "/a/b/x", "value": 1},
        {"op": "add", "path": "", "value": 1},
        {"op": "add", "path": "/s/x", "value": 1},
        {"op": "remove", "path": "/none"},
        {"op": "remove", "path": "/a/b/3"},
        {"op": "replace", "path": "/none/deeper", "value": 1},
        {"op": "replace", "path": "", "value": 1},
        {"op": "move", "from": "/none", "path": "/z"},
        {"op": "copy", "path": "/z"},
        {"op": "test", "path": "/s", "value": "other"},
        {"op": "test", "path": "/none", "value": 1},
        {"op": "test", "path": "/a/b/0", "value": True},
        {"op": "test", "path": "/a/b/0", "value": 1.0},
        {"op": "bogus", "path": "/s"},
        {"path": "/s"},
        {"op": "add", "value": 1},
    ],
)
def test_what_does_not_apply_is_422(operation: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as error:
        json_patch.apply(DOC, [operation])
    assert (error.value.code, error.value.reason) == (422, "Invalid")
    assert error.value.status()["details"] == {}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"op": "add"}, "cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (["x"], "cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
        ([{"op": 1}], "cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
    ],
)
def test_what_is_no_patch_is_400(patch: Any, message: str) -> None:
    with pytest.raises(StatusError) as error:
        json_patch.apply(DOC, patch)
    assert error.value.code == 400
    assert error.value.message == f"error decoding patch: json: {message}"


def test_limits() -> None:
    with pytest.raises(StatusError) as error:
        json_patch.apply({}, [{"op": "test", "path": "/a", "value": None}] * 10001)
    assert error.value.code == 413
    doc = {"a": "x" * 2_000_000}
    with pytest.raises(StatusError) as error:
        json_patch.apply(doc, [{"op": "copy", "from": "/a", "path": f"/{n}"} for n in range(2)])
    assert error.value.code == 422


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b/c", "~1"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc/~"), inner, max_size=3)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc/~"), JSON, max_size=4)


def pointers(value: Any, at: str = "") -> list[str]:
    found = [at]
    if isinstance(value, dict):
        for key, item in value.items():
            found += pointers(item, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += pointers(item, f"{at}/{index}")
    return found


@given(OBJECTS, JSON, st.data())
def test_replacing_then_testing_holds_and_inputs_stay(doc: Any, value: Any, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(pointers(doc)))
    if path == "":
        return
    before = copy.deepcopy(doc)
    changed = json_patch.apply(doc, [{"op": "replace", "path": path, "value": value}])
    assert json_patch.apply(changed, [{"op": "test", "path": path, "value": value}]) == changed
    assert doc == before


@given(OBJECTS, JSON)
def test_adding_then_removing_is_nothing(doc: Any, value: Any) -> None:
    added = [{"op": "add", "path": "/new", "value": value}, {"op": "remove", "path": "/new"}]
    assert json_patch.apply(doc, added) == doc


def test_a_copy_is_its_own_and_the_document_stays() -> None:
    document: dict[str, Any] = {"a": {"x": [1]}}
    operations = [
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/x/-", "value": 2},
        {"op": "add", "path": "/a/y", "value": 3},
        {"op": "copy", "from": "/a", "path": "/c"},
        {"op": "remove", "path": "/a/x/0"},
    ]
    assert json_patch.apply(document, operations) == {
        "a": {"x": [], "y": 3},
        "b": {"x": [1, 2]},
        "c": {"x": [1], "y": 3},
    }
    assert document == {"a": {"x": [1]}}


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"op": "add", "path": "/n/x"}, 'add operation does not apply: doc is missing path: "/n/x": missing value'),
        (
            {"op": "add", "path": "/a/b/9"},
            "error in add for path: '/a/b/9': Unable to access invalid index: 9: invalid index referenced",
        ),
        (
            {"op": "add", "path": "/a/b/x"},
            "error in add for path: '/a/b/x': value was not a proper array index: 'x': "
            'strconv.Atoi: parsing "x": invalid syntax',
        ),
        (
            {"op": "remove", "path": "/no"},
            "error in remove for path: '/no': Unable to remove nonexistent key: no: missing value",
        ),
        ({"op": "test", "path": "/s", "value": "x"}, "testing value /s failed: test failed"),
        ({"op": "jump", "path": "/s"}, "Unexpected kind: jump"),
    ],
)
def test_words(operation: dict[str, Any], words: str) -> None:
    with pytest.raises(json_patch.DoesNotApplyError) as error:
        json_patch.carry_out(DOC, [operation])
    assert str(error.value) == words
