from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import merge_patch
from knarr.apimachinery.errors import StatusError


# https://www.rfc-editor.org/rfc/rfc7386#appendix-A, the cases whose target and patch are objects
@pytest.mark.parametrize(
    ("doc", "patch", "want"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_rfc_cases(doc: Any, patch: Any, want: Any) -> None:
    assert merge_patch.apply(doc, patch) == want


def test_only_objects_are_patches() -> None:
    with pytest.raises(StatusError) as error:
        merge_patch.apply({}, "x")
    assert error.value.code == 400
    assert error.value.message == (
        "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"
    )
    assert merge_patch.apply({"a": 1}, None) == {"a": 1}


LEAVES = st.one_of(st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2), st.lists(st.integers(), max_size=2))
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8)
DOCS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)
PATCHES = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(
        st.one_of(st.none(), LEAVES),
        lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def difference(old: Any, new: Any) -> Any:
    """The patch that leads from one document without nulls to another."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(old.get(key), dict) and isinstance(value, dict):
            patch[key] = difference(old[key], value)
        else:
            patch[key] = value
    return patch


@given(DOCS, DOCS)
def test_applying_a_difference_leads_there(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    assert merge_patch.apply(old, difference(old, new)) == new
    assert old == before


@given(DOCS, PATCHES)
def test_applying_twice_is_applying_once(doc: Any, patch: Any) -> None:
    before = copy.deepcopy(patch)
    once = merge_patch.apply(doc, patch)
    assert merge_patch.apply(once, patch) == once
    assert patch == before
