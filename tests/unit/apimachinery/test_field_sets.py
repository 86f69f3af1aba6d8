"""Sets of fields: their algebra and their text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import field_sets
from knarr.apimachinery.field_sets import FieldSet

STEPS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'k:{"port":80,"protocol":"TCP"}', 'v:"y"', "i:0"])
PATHS = st.lists(st.lists(STEPS, min_size=1, max_size=4).map(tuple), max_size=8)


def of(paths: list[tuple[str, ...]]) -> FieldSet:
    return field_sets.of_paths(paths)


def members(fields: FieldSet) -> set[tuple[str, ...]]:
    return set(field_sets.paths(fields))


@given(PATHS)
def test_a_set_has_the_paths_it_is_made_of(paths: list[tuple[str, ...]]) -> None:
    assert members(of(paths)) == set(paths)
    assert all(field_sets.has(of(paths), path) for path in paths)


@given(PATHS, PATHS)
def test_union_difference_and_intersection_are_those_of_sets_of_paths(
    left: list[tuple[str, ...]], right: list[tuple[str, ...]]
) -> None:
    one, two = of(left), of(right)
    assert members(field_sets.union(one, two)) == set(left) | set(right)
    assert members(field_sets.difference(one, two)) == set(left) - set(right)
    assert members(field_sets.intersection(one, two)) == set(left) & set(right)


@given(PATHS, PATHS)
def test_equal_sets_have_one_form(left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> None:
    one, two = of(left), of(right)
    assert field_sets.union(one, two) == field_sets.union(two, one) == of([*right, *left])
    assert field_sets.difference(one, two) == of([path for path in left if path not in right])
    assert field_sets.intersection(one, two) == of([path for path in left if path in right])


@given(PATHS, PATHS)
def test_without_takes_what_lies_below_too(left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> None:
    kept = {path for path in left if not any(path[: len(other)] == other for other in right)}
    assert members(field_sets.without(of(left), of(right))) == kept


@given(PATHS, PATHS)
def test_arguments_stay_as_they_are(left: list[tuple[str, ...]], right: list[tuple[str, ...]]) -> None:
    one, two = of(left), of(right)
    for change in (field_sets.union, field_sets.difference, field_sets.intersection, field_sets.without):
        change(one, two)
    assert (one, two) == (of(left), of(right))


@given(PATHS)
def test_a_set_reads_back_what_it_is_written_as(paths: list[tuple[str, ...]]) -> None:
    written = field_sets.ordered(of(paths))
    assert field_sets.decoded(written) == of(paths)
    assert list(written) == sorted(written)


def test_what_a_client_writes_is_made_canonical() -> None:
    given_set: FieldSet = {"f:a": {".": {}}, 'k:{"b": 1, "a": "x"}': {"f:c": {}}, ".": {}}
    assert field_sets.decoded(given_set) == {"f:a": {}, 'k:{"a":"x","b":1}': {"f:c": {}}}


@pytest.mark.parametrize("value", [{"x:a": {}}, {"f:a": 1}, [], {"k:1": {}}, {"v:{": {}}, {"i:x": {}}])
def test_what_is_no_set_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        field_sets.decoded(value)


def test_paths_are_shown_as_kubernetes_shows_them() -> None:
    path = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name")
    assert field_sets.path_text(path) == '.spec.ports[port=80,protocol="TCP"].name'
    assert field_sets.path_text(("f:metadata", "f:finalizers", 'v:"a/b"')) == '.metadata.finalizers[="a/b"]'
    assert field_sets.path_text(("f:a", "i:3")) == ".a[3]"


def test_steps_are_written_with_numbers_by_their_value() -> None:
    steps = ['k:{"containerPort":443,"protocol":"TCP"}', ".", 'k:{"containerPort":80,"protocol":"TCP"}']
    assert field_sets.in_order(steps) == [steps[1], steps[2], steps[0]]
    assert field_sets.in_order(["v:10", "v:9", "v:100"]) == ["v:9", "v:10", "v:100"]
