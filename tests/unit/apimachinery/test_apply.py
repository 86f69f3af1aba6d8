"""Server-side apply: what is merged, removed, owned, and what conflicts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from knarr.apimachinery import apply, field_check, field_merge, field_sets, last_applied
from knarr.apimachinery.apply import Applied, Conflicts
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.managed_fields import Entry, Write
from knarr.apimachinery.types import Object

from .field_owning import FULL_SPECS, KIND, SPECS, config, thing

NOW = "2026-01-01T00:00:00Z"


class OneVersion:
    def schema(self, api_version: str) -> FieldSchema | None:
        return KIND if api_version == "v1" else None

    def convert(self, obj: Object, api_version: str) -> Object:
        return obj


def applied(
    live: Object, spec: Any, entries: list[Entry] | None = None, manager: str = "one", *, force: bool = False
) -> Applied:
    write = Write(manager, "v1", NOW)
    return apply.apply(write, live, config(spec), entries or [], OneVersion(), force=force)


def spec_of(found: Applied, live: Object) -> Any:
    return (live if found.obj is None else found.obj).get("spec")


def test_what_is_left_out_is_removed_unless_others_own_it() -> None:
    live = thing({})
    one = applied(live, {"labels": {"a": "1", "b": "2"}})
    assert one.obj is not None
    two = applied(one.obj, {"labels": {"b": "2"}}, one.entries, "two")
    assert two.obj is None
    left = applied(one.obj, {}, two.entries)
    assert spec_of(left, one.obj) == {"labels": {"b": "2"}}
    assert [entry.manager for entry in left.entries] == ["two"]


def test_another_value_of_anothers_field_conflicts_unless_forced() -> None:
    one = applied(thing({}), {"size": 1, "labels": {"a": "1"}})
    assert one.obj is not None
    with pytest.raises(Conflicts) as caught:
        applied(one.obj, {"size": 2, "labels": {"a": "2"}}, one.entries, "two")
    error = caught.value.status_error()
    assert error.code == 409
    assert error.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.size\n- .spec.labels.a'
    forced = applied(one.obj, {"size": 2}, one.entries, "two", force=True)
    assert {entry.manager: entry.fields["f:spec"] for entry in forced.entries} == {
        "one": {"f:labels": {"f:a": {}}},
        "two": {"f:size": {}},
    }


def test_conflicts_say_whose_updates_they_meet() -> None:
    update = Entry("up", "Update", "v1", {"f:spec": {"f:size": {}}}, subresource="scale")
    with pytest.raises(Conflicts) as caught:
        applied(thing({"size": 1}), {"size": 2}, [update])
    expected = 'Apply failed with 1 conflict: conflict with "up" with subresource "scale" using v1: .spec.size'
    assert caught.value.status_error().message == expected


def test_applying_what_is_there_already_changes_no_time() -> None:
    found = applied(thing({"size": 1}), {"size": 1})
    assert found.obj is None
    assert [(entry.manager, entry.time) for entry in found.entries] == [("one", "")]


def test_lists_keep_the_configurations_order_among_shared_items() -> None:
    live = thing({"finalizers": ["a", "x", "b", "y"]})
    assert spec_of(applied(live, {"finalizers": ["b", "n", "a"]}), live)["finalizers"] == ["x", "b", "y", "n", "a"]


def test_items_are_told_apart_by_keys_and_their_defaults() -> None:
    live = thing({"items": [{"port": 80, "protocol": "TCP", "name": "a"}]})
    found = applied(live, {"items": [{"port": 80, "tags": {"k": "v"}}, {"port": 80, "protocol": "UDP"}]})
    assert spec_of(found, live)["items"] == [
        {"port": 80, "protocol": "TCP", "name": "a", "tags": {"k": "v"}},
        {"port": 80, "protocol": "UDP"},
    ]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
        ({"size": "x"}, ".spec.size: expected numeric (int or float), got string"),
        ({"inner": {"a": 1}}, ".spec.inner.a: expected string, got &value.valueUnstructured{Value:1}"),
        ({"labels": ["x"]}, ".spec.labels: expected map, got &{[x]}"),
        ({"finalizers": ["a", "a"]}, '.spec.finalizers: duplicate entries for key [="a"]'),
        ({"items": [{"port": 1}, {"port": 1}]}, '.spec.items: duplicate entries for key [port=1,protocol="TCP"]'),
        ({"size": 1, "inner": None}, ""),
    ],
)
def test_a_configuration_must_fit_the_schema(spec: Any, complaint: str) -> None:
    assert field_check.complaint(KIND, config(spec)) == complaint


@given(SPECS, SPECS)
def test_everything_applied_is_in_the_object(live: Any, spec: Any) -> None:
    merged = field_merge.merge(KIND, thing(live), config(spec))
    again = field_merge.merge(KIND, merged, config(spec))
    assert again == merged


@given(SPECS, SPECS)
def test_applying_twice_is_applying_once(live: Any, spec: Any) -> None:
    first = applied(thing(live), spec)
    obj = first.obj or thing(live)
    second = applied(obj, spec, first.entries)
    assert second.obj is None
    assert [entry.fields for entry in second.entries] == [entry.fields for entry in first.entries]


@given(SPECS, SPECS)
def test_one_manager_alone_gets_rid_of_what_it_applied(one: Any, other: Any) -> None:
    first = applied(thing({}), one)
    second = applied(first.obj or thing({}), other, first.entries)
    assert [entry.fields for entry in second.entries] == [entry.fields for entry in applied(thing({}), other).entries]


def parts(spec: Any) -> tuple[Any, Any]:
    """A spec in two: no field is in both, though they may share maps and lists."""
    names = sorted(spec)
    return {name: spec[name] for name in names[::2]}, {name: spec[name] for name in names[1::2]}


@given(SPECS, SPECS)
def test_the_order_of_managers_who_share_nothing_does_not_matter(live: Any, spec: Any) -> None:
    mine, theirs = parts(spec)
    ends = []
    for first, second in ((("one", mine), ("two", theirs)), (("two", theirs), ("one", mine))):
        obj, entries = thing(live), list[Entry]()
        for manager, part in (first, second):
            found = applied(obj, part, entries, manager)
            obj, entries = found.obj or obj, found.entries
        ends.append((obj, {entry.manager: entry.fields for entry in entries}))
    assert ends[0] == ends[1]


@given(SPECS, SPECS)
def test_managers_of_labels_of_their_own_commute(live: Any, spec: Any) -> None:
    labels = spec.get("labels") or {}
    first, second = {"labels": {f"x{key}": labels[key] for key in labels}}, {"labels": {"y": "1"}}
    one = applied(thing(live), first)
    both = applied(one.obj or thing(live), second, one.entries, "two")
    other = applied(thing(live), second, manager="two")
    swapped = applied(other.obj or thing(live), first, other.entries)
    assert spec_of(both, one.obj or thing(live)) == spec_of(swapped, other.obj or thing(live))


def unordered(value: Any) -> Any:
    """A value in which the order of list items does not count."""
    if isinstance(value, dict):
        return {key: unordered(value[key]) for key in sorted(value)}
    return sorted((unordered(item) for item in value), key=repr) if isinstance(value, list) else value


@given(FULL_SPECS, FULL_SPECS)
def test_without_force_nothing_that_another_owns_is_lost(mine: Any, theirs: Any) -> None:
    first = applied(thing({}), mine)
    obj = first.obj or thing({})
    try:
        second = applied(obj, theirs, first.entries, "two")
    except Conflicts:
        return
    own = next((entry.fields for entry in second.entries if entry.manager == "one"), {})
    assert own == next((entry.fields for entry in first.entries if entry.manager == "one"), {})
    # All that the first one applied is there still: once more it changes the order of shared items at most.
    live = second.obj or obj
    assert unordered(spec_of(applied(live, mine, second.entries), live)) == unordered(live.get("spec"))


@given(FULL_SPECS, FULL_SPECS, FULL_SPECS)
def test_what_another_manager_applied_stays(mine: Any, theirs: Any, later: Any) -> None:
    first = applied(thing({}), mine)
    second = applied(first.obj or thing({}), theirs, first.entries, "two", force=True)
    live = second.obj or first.obj or thing({})
    own = next((entry.fields for entry in second.entries if entry.manager == "two"), {})
    try:
        third = applied(live, later, second.entries)
    except Conflicts:
        return
    kept = next((entry.fields for entry in third.entries if entry.manager == "two"), {})
    assert kept == own


def test_kubectl_goes_on_from_what_its_annotation_says() -> None:
    text = '{"apiVersion":"v1","kind":"Thing","metadata":{"name":"x"},"spec":{"size":1,"labels":{"a":"1"}}}'
    live = thing({"size": 1, "labels": {"a": "2"}})
    live["metadata"]["annotations"] = {last_applied.ANNOTATION: text}
    assert last_applied.allows(KIND, live, field_sets.of_paths([("f:spec", "f:size")]))
    assert not last_applied.allows(KIND, live, field_sets.of_paths([("f:spec", "f:labels", "f:a")]))
    last_applied.refresh(live, config({"size": 3}))
    assert live["metadata"]["annotations"] == {
        last_applied.ANNOTATION: '{"apiVersion":"v1","kind":"Thing","metadata":{"name":"x"},"spec":{"size":3}}\n'
    }
