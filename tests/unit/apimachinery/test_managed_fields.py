"""Who owns which fields after updates."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import field_changes, field_sets, managed_fields
from knarr.apimachinery.managed_fields import Versioned, Write
from knarr.apimachinery.types import Object

from .field_owning import KIND, SPECS, thing

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
EMPTY: Object = {"apiVersion": "v1", "kind": "Thing", "metadata": {}, "spec": {}}


def written(old: Object, new: Object, manager: str = "m", now: str = NOW, **more: Any) -> Object:
    write = Write(manager, "v1", now, **more)
    entries = managed_fields.update(write, Versioned(KIND, old, new), lambda _version: None)
    meta = {key: value for key, value in new["metadata"].items() if key != "managedFields"}
    return {**new, "metadata": {**meta, **({"managedFields": entries} if entries else {})}}


def fields_of(obj: Object, manager: str) -> field_sets.FieldSet:
    entries = obj["metadata"].get("managedFields", [])
    return next((entry["fieldsV1"] for entry in entries if entry["manager"] == manager), {})


def test_who_creates_owns_everything_that_was_set() -> None:
    obj = written(EMPTY, thing({"size": 1, "labels": {"a": "b"}, "items": [{"port": 80, "name": "n"}], "inner": {}}))
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "m",
            "operation": "Update",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:inner": {},
                    "f:items": {
                        ".": {},
                        'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}},
                    },
                    "f:labels": {".": {}, "f:a": {}},
                    "f:size": {},
                }
            },
        }
    ]


def test_a_changed_field_has_a_new_owner_and_a_removed_one_none() -> None:
    first = written(EMPTY, thing({"size": 1, "labels": {"a": "1", "b": "2"}}), "one")
    second = written(first, thing({"size": 2, "labels": {"a": "1"}}), "two", LATER)
    assert fields_of(second, "one") == {"f:spec": {"f:labels": {".": {}, "f:a": {}}}}
    assert fields_of(second, "two") == {"f:spec": {"f:size": {}}}
    assert [entry["time"] for entry in second["metadata"]["managedFields"]] == [NOW, LATER]


def test_an_entry_without_fields_goes() -> None:
    first = written(EMPTY, thing({"size": 1}), "one")
    assert "managedFields" not in written(first, thing({}), "two")["metadata"]


def test_an_update_that_changes_nothing_keeps_the_very_entries() -> None:
    first = written(EMPTY, thing({"size": 1}))
    again = written(first, thing({"size": 1}), "other", LATER)
    assert again["metadata"]["managedFields"] is first["metadata"]["managedFields"]


def test_a_client_makes_the_server_forget() -> None:
    first = written(EMPTY, thing({"size": 1}))
    wishes: list[list[Object]] = [[], [{}]]
    for wish in wishes:
        new = thing({"size": 2})
        new["metadata"]["managedFields"] = wish
        assert "managedFields" not in written(first, new)["metadata"]


def test_malformed_entries_of_a_client_do_not_count() -> None:
    first = written(EMPTY, thing({"size": 1}))
    new = thing({"size": 1})
    new["metadata"]["managedFields"] = [{"manager": "m", "operation": "Bogus", "apiVersion": "v1"}]
    assert written(first, new)["metadata"] == first["metadata"]


def test_an_object_without_owners_stays_so() -> None:
    assert "managedFields" not in written(thing({"size": 1}), thing({"size": 2}))["metadata"]


def test_an_object_that_does_not_fit_has_no_owners() -> None:
    assert "managedFields" not in written(EMPTY, thing({"items": [None]}))["metadata"]


def test_nobody_owns_what_a_write_cannot_set() -> None:
    unowned = field_sets.of_paths([("f:spec", "f:inner")])
    obj = written(EMPTY, thing({"size": 1, "inner": {"a": "b"}}), unowned=unowned)
    assert fields_of(obj, "m") == {"f:spec": {"f:size": {}}}


def test_ten_updaters_are_told_apart() -> None:
    obj = written(EMPTY, thing({"labels": {"k0": "v"}}), "m0", "2026-01-01T00:00:00Z")
    for index in range(1, 13):
        labels = {**obj["spec"]["labels"], f"k{index}": "v"}
        obj = written(obj, thing({"labels": labels}), f"m{index}", f"2026-01-01T00:00:{index:02}Z")
    managers = [entry["manager"] for entry in obj["metadata"]["managedFields"]]
    assert managers == ["ancient-changes", *(f"m{index}" for index in range(4, 13))]
    assert list(fields_of(obj, "ancient-changes")["f:spec"]["f:labels"]) == [".", "f:k0", "f:k1", "f:k2", "f:k3"]


def test_an_entry_of_a_version_that_is_gone_goes() -> None:
    first = written(EMPTY, thing({"size": 1, "inner": {"a": "b"}}))
    for entry in first["metadata"]["managedFields"]:
        entry["apiVersion"] = "v0"
    assert [e["apiVersion"] for e in written(first, thing({"size": 2}))["metadata"]["managedFields"]] == ["v1"]


def test_only_times_apart_is_the_same() -> None:
    one = written(EMPTY, thing({"size": 1}))
    two = written(EMPTY, thing({"size": 1}), now=LATER)
    assert managed_fields.same_but_times(two, one)
    assert not managed_fields.same_but_times({**two, "spec": {"size": 2}}, one)
    assert not managed_fields.same_but_times(written(EMPTY, thing({"size": 1}), "other"), one)


@given(st.lists(st.tuples(st.sampled_from("xyz"), SPECS), min_size=2, max_size=5))
def test_an_owner_loses_a_field_only_when_it_changes(writes: list[tuple[str, Any]]) -> None:
    obj = written(EMPTY, thing(writes[0][1]), writes[0][0])
    for manager, spec in writes[1:]:
        new = written(obj, thing(spec), manager, LATER)
        changes = field_changes.compare(KIND, obj, new)
        touched = {*field_sets.paths(changes.changed), *field_sets.paths(changes.removed)}
        for other in "xyz":
            lost = {*field_sets.paths(fields_of(obj, other))} - {*field_sets.paths(fields_of(new, other))}
            assert lost <= touched
        if new["metadata"].get("managedFields"):
            gained = field_sets.paths(changes.changed)
            assert all(field_sets.has(fields_of(new, manager), path) for path in gained)
        obj = new


@given(st.lists(st.tuples(st.sampled_from("xyz"), SPECS), min_size=1, max_size=5))
def test_what_is_owned_is_there_and_written_in_order(writes: list[tuple[str, Any]]) -> None:
    obj = EMPTY
    for manager, spec in writes:
        obj = written(obj, thing(spec), manager)
    there = {*field_sets.paths(field_changes.everything(KIND, obj))}
    for entry in obj["metadata"].get("managedFields", []):
        assert {*field_sets.paths(entry["fieldsV1"])} <= there
        assert str(entry["fieldsV1"]) == str(field_sets.ordered(entry["fieldsV1"]))
