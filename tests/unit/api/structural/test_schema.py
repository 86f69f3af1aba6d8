"""Objects of custom resources: pruned, filled, judged."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.structural import FieldFault, Schema
from knarr.apimachinery import field_changes


def _schema(**properties: Any) -> Schema:
    return Schema.compile({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})


def _causes(schema: Schema, spec: Any, old: Any = None) -> list[tuple[str, str]]:
    found = schema.validate({"spec": spec}, None if old is None else {"spec": old})
    return [(error.field, error.body()) for error in found]


def test_unknown_fields_are_dropped_and_told() -> None:
    schema = _schema(list={"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}})
    obj = {"kind": "Widget", "spec": {"list": [{"a": "x"}, {"a": "y", "b": {"c": 1}}], "z": 1}, "top": 1}
    pruned, unknown = schema.prune(obj)
    assert pruned == {"kind": "Widget", "spec": {"list": [{"a": "x"}, {"a": "y"}]}}
    assert unknown == ["spec.list[1].b", "spec.z", "top"]


def test_fields_below_preserved_ones_are_pruned_where_they_are_declared() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    schema = _schema(open={"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"in": inner}})
    pruned, unknown = schema.prune({"spec": {"open": {"any": {"x": 1}, "in": {"a": "x", "b": 1}}}})
    assert pruned == {"spec": {"open": {"any": {"x": 1}, "in": {"a": "x"}}}}
    assert unknown == ["spec.open.in.b"]


def test_nulls_are_dropped_unless_allowed_or_filled() -> None:
    schema = _schema(
        plain={"type": "string"},
        nullable={"type": "string", "nullable": True},
        filled={"type": "string", "default": "x"},
    )
    accepted, _ = schema.accept({"spec": {"plain": None, "nullable": None, "filled": None}})
    assert accepted == {"spec": {"nullable": None, "filled": "x"}}


def test_defaults_fill_what_is_there_but_make_nothing_above() -> None:
    schema = _schema(inner={"type": "object", "properties": {"a": {"type": "integer", "default": 1}}})
    assert schema.default({"spec": {}}) == {"spec": {}}
    assert schema.default({"spec": {"inner": {}}}) == {"spec": {"inner": {"a": 1}}}


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        ({"type": "string"}, 1, 'Invalid value: "integer": spec.v in body must be of type string: "integer"'),
        ({"type": "integer"}, None, 'Invalid value: "null": spec.v in body must be of type integer: "null"'),
        (
            {"x-kubernetes-int-or-string": True},
            1.5,
            'Invalid value: "number": spec.v in body must be of type integer,string: "number"',
        ),
        ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
        (
            {"type": "string", "minLength": 2},
            "a",
            'Invalid value: "a": spec.v in body should be at least 2 chars long',
        ),
        ({"type": "string", "pattern": "^(a+)+$"}, "b", "Invalid value: \"b\": spec.v in body should match '^(a+)+$'"),
        (
            {"type": "integer", "maximum": 5, "exclusiveMaximum": True},
            5,
            "Invalid value: 5: spec.v in body should be less than 5",
        ),
        (
            {"type": "number", "minimum": 0.5},
            0.25,
            "Invalid value: 0.25: spec.v in body should be greater than or equal to 0.5",
        ),
        ({"type": "integer", "multipleOf": 3}, 4, "Invalid value: 4: spec.v in body should be a multiple of 3"),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
            [1, 2],
            "Too many: 2: must have at most 1 item",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            {},
            "Invalid value: 0: spec.v in body should have at least 1 properties",
        ),
        ({"type": "integer", "enum": [1, 2]}, 3, 'Unsupported value: 3: supported values: "1", "2"'),
        (
            {"type": "string", "format": "date"},
            "2024-13-01",
            'Invalid value: "2024-13-01": spec.v in body must be of type date: "2024-13-01"',
        ),
    ],
)
def test_faults_are_told_as_the_real_server_does(schema: dict[str, Any], value: Any, message: str) -> None:
    assert _causes(_schema(v=schema), {"v": value}) == [("spec.v", message)]


def test_of_several_alternatives_the_nearest_one_tells_what_is_wrong() -> None:
    alternatives = [{"properties": {"x": {"minimum": 10}}}, {"properties": {"x": {"maximum": 1}}}]
    schema = _schema(v={"type": "object", "properties": {"x": {"type": "integer"}}, "anyOf": alternatives})
    assert _causes(schema, {"v": {"x": 5}}) == [
        ("<nil>", 'Invalid value: "": "spec.v" must validate at least one schema (anyOf)'),
        ("spec.v.x", "Invalid value: 5: spec.v.x in body should be greater than or equal to 10"),
    ]


def test_faults_that_were_there_before_pass_where_nothing_changed() -> None:
    schema = _schema(a={"type": "string", "maxLength": 1}, b={"type": "string", "maxLength": 1})
    assert _causes(schema, {"a": "long", "b": "y"}, {"a": "long", "b": "x"}) == []
    assert [path for path, _ in _causes(schema, {"a": "long", "b": "new"}, {"a": "long", "b": "x"})] == ["spec.b"]


def test_items_of_keyed_lists_are_compared_by_their_keys() -> None:
    item = {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string", "maxLength": 1}}}
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = _schema(m={"type": "array", "items": item, **keyed}, atomic={"type": "array", "items": item})
    old, new = [{"k": "a", "v": "long"}], [{"k": "b", "v": "x"}, {"k": "a", "v": "long"}]
    assert _causes(schema, {"m": new}, {"m": old}) == []
    assert [path for path, _ in _causes(schema, {"atomic": new}, {"atomic": old})] == ["spec.atomic[1].v"]


def test_items_of_sets_and_keyed_lists_stand_once() -> None:
    item = {"type": "object", "properties": {"k": {"type": "string"}}}
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = _schema(
        m={"type": "array", "items": item, **keyed},
        s={"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    )
    assert _causes(schema, {"m": [{"k": "a"}, {"k": "a"}, {"k": "a"}], "s": ["x", "y", "x"]}) == [
        ("spec.m[1]", 'Duplicate value: {"k":"a"}'),
        ("spec.s[2]", 'Duplicate value: "x"'),
    ]
    assert _causes(schema, {"s": ["x", "x"]}, {"s": ["y", "y"]}) == []


def test_objects_within_have_a_kind_a_version_and_good_metadata() -> None:
    schema = _schema(e={"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {}}})
    assert [path for path, _ in _causes(schema, {"e": {}})] == ["spec.e.apiVersion", "spec.e.kind"]
    bad = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"bad key": "x"}}}
    assert [path for path, _ in _causes(schema, {"e": bad})] == ["spec.e.metadata.labels"]
    with pytest.raises(FieldFault, match=r"spec\.e\.metadata"):
        schema.accept({"spec": {"e": {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": 1}}}})
    accepted, unknown = schema.accept({"spec": {"e": {"apiVersion": "v1", "kind": "Pod", "metadata": {"x": 1}}}})
    assert accepted["spec"]["e"]["metadata"] == {}
    assert unknown == ["spec.e.metadata.x"]


def test_unknown_metadata_of_objects_in_maps_and_lists_is_told() -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    schema = _schema(m={"type": "object", "additionalProperties": {"type": "array", "items": inner}})
    _, unknown = schema.accept({"spec": {"m": {"a": [{"metadata": {"x": 1}}]}}})
    assert unknown == ["spec.m.a[0].metadata.x"]


def test_a_status_is_judged_alone() -> None:
    status = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    schema = Schema.compile({"type": "object", "properties": {"spec": {"type": "string"}, "status": status}})
    found = schema.validate_status({"spec": 1, "status": {"n": "x"}}, {"spec": 1})
    assert [(error.field, error.body()) for error in found] == [
        ("status.n", 'Invalid value: "string": n in body must be of type integer: "string"')
    ]


def test_fields_are_owned_as_far_down_as_the_schema_says() -> None:
    item = {"type": "object", "properties": {"k": {"type": "string", "default": "d"}, "v": {"type": "integer"}}}
    schema = _schema(
        m={
            "type": "array",
            "items": item,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
        },
        atomic={"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        open={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    )
    obj = {"spec": {"m": [{"v": 1}], "atomic": {"a": "b"}, "open": {"x": {"y": [1]}}}}
    assert field_changes.extract(schema.ownership, obj) == {
        "f:spec": {
            "f:atomic": {},
            "f:m": {'k:{"k":"d"}': {".": {}, "f:v": {}}},
            "f:open": {"f:x": {".": {}, "f:y": {}}},
        }
    }


def test_integers_are_compared_with_the_whole_part_of_a_bound() -> None:
    schema = _schema(v={"type": "number", "minimum": 5.5}, w={"type": "integer", "maximum": 5.5})
    assert _causes(schema, {"v": 5}) == []
    assert [path for path, _ in _causes(schema, {"v": 5.25})] == ["spec.v"]
    assert _causes(schema, {"w": 5}) == [
        ("<nil>", 'Invalid value: "": Maximum boundary value must be of type integer (default format) in spec.w')
    ]


def test_an_object_with_too_many_members_is_judged_all_the_same() -> None:
    schema = _schema(m={"type": "object", "maxProperties": 1, "additionalProperties": {"type": "integer"}})
    assert _causes(schema, {"m": {"a": 1, "b": "x"}}) == [
        ("spec.m", "Too many: 2: must have at most 1 item"),
        ("spec.m.b", 'Invalid value: "string": spec.m.b in body must be of type integer: "string"'),
    ]


def test_a_schema_as_deep_as_a_body_can_be_is_bounded() -> None:
    openapi: dict[str, Any] = {"type": "string", "maxLength": 1, "default": "x"}
    obj: Any = "long"
    for _ in range(120):
        openapi = {"type": "object", "properties": {"a": openapi}, "allOf": [{"maxProperties": 2}]}
        obj = {"a": obj, "b": None}
    schema = Schema.compile(openapi)
    accepted, unknown = schema.accept(obj)
    assert len(unknown) == 120
    assert [error.reason for error in schema.validate(accepted)][0] == "FieldValueTooLong"
    assert schema.validate(accepted, accepted) == []


def test_many_alternatives_within_alternatives_cost_no_more_than_their_number() -> None:
    inner: dict[str, Any] = {"minLength": 3}
    for _ in range(12):
        inner = {"oneOf": [inner, {"maxLength": 0}], "anyOf": [{"minLength": 1}]}
    schema = _schema(v={"type": "string", **inner})
    assert _causes(schema, {"v": "abc"}) == []
    assert _causes(schema, {"v": "ab"})


def test_patterns_that_backtrack_elsewhere_are_linear() -> None:
    schema = _schema(v={"type": "string", "pattern": "^(a|a)*(a|aa)+$"})
    assert _causes(schema, {"v": "a" * 100_000}) == []
    assert _causes(schema, {"v": "a" * 100_000 + "b"})
