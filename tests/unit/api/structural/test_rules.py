"""Rules in CEL about objects of custom resources."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.structural import Effort, Schema, TooDearError
from knarr.api.structural.rule_paths import field_path

_KEYED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}


def _schema(*rules: dict[str, Any], **properties: Any) -> Schema:
    spec = {"type": "object", "properties": properties, "x-kubernetes-validations": list(rules)}
    return Schema.compile({"type": "object", "properties": {"spec": spec}})


def _ruled(kind: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "x-kubernetes-validations": list(rules)}


def _causes(schema: Schema, spec: Any, old: Any = None) -> list[tuple[str, str]]:
    found = schema.validate({"spec": spec}, None if old is None else {"spec": old})
    return [(error.field, error.body()) for error in found]


def test_a_broken_rule_is_told_by_its_message_or_by_itself() -> None:
    schema = _schema({"rule": "self.a > 1", "message": " too small "}, {"rule": "self.a > 2"}, a={"type": "integer"})
    assert _causes(schema, {"a": 1}) == [
        ("spec", "Invalid value: too small"),
        ("spec", "Invalid value: failed rule: self.a > 2"),
    ]
    assert _causes(schema, {"a": 3}) == []


def test_scalars_are_shown() -> None:
    schema = _schema(s=_ruled("string", {"rule": "self != 'x'"}), n=_ruled("integer", {"rule": "self != 1"}))
    assert _causes(schema, {"s": "x", "n": 1}) == [
        ("spec.s", "Invalid value: \"x\": failed rule: self != 'x'"),
        ("spec.n", "Invalid value: 1: failed rule: self != 1"),
    ]


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("FieldValueInvalid", "Invalid value: why"),
        ("FieldValueForbidden", "Forbidden: why"),
        ("FieldValueRequired", "Required value: why"),
    ],
)
def test_a_rule_may_name_reason_and_field(reason: str, shown: str) -> None:
    rule = {"rule": "self.m['x'] == 1", "reason": reason, "fieldPath": ".m['x']", "message": "why"}
    schema = _schema(rule, m={"type": "object", "additionalProperties": {"type": "integer"}})
    assert _causes(schema, {"m": {"x": 2}}) == [("spec.m[x]", shown)]


def test_a_message_may_be_made_by_an_expression() -> None:
    rule = {"rule": "self.s == 'good'", "messageExpression": "'not ' + self.s", "message": "plain"}
    schema = _schema(rule, s={"type": "string"})
    assert _causes(schema, {"s": "bad"}) == [("spec", "Invalid value: not bad")]
    assert _causes(schema, {"s": "two\nlines"}) == [("spec", "Invalid value: plain")]


def test_an_expression_without_a_value_breaks_its_rule() -> None:
    schema = _schema({"rule": "self.l[1] == 'x'"}, l={"type": "array", "items": {"type": "string"}})
    assert _causes(schema, {"l": []}) == [
        ("spec", "Invalid value: \"object\": index out of bounds: 1 evaluating rule: self.l[1] == 'x'")
    ]


def test_rules_about_the_old_value_run_where_there_is_one() -> None:
    schema = _schema(x=_ruled("string", {"rule": "self == oldSelf", "message": "fixed"}))
    assert _causes(schema, {"x": "a"}) == _causes(schema, {"x": "a"}, {}) == _causes(schema, {}, {"x": "a"}) == []
    assert _causes(schema, {"x": "b"}, {"x": "a"}) == [("spec.x", 'Invalid value: "b": fixed')]


def test_an_optional_old_value_may_be_absent() -> None:
    rule = {"rule": "oldSelf.orValue('a') == self", "optionalOldSelf": True}
    schema = _schema(x=_ruled("string", rule))
    assert _causes(schema, {"x": "a"}) == []
    assert [path for path, _ in _causes(schema, {"x": "b"})] == ["spec.x"]
    assert [path for path, _ in _causes(schema, {"x": "a"}, {"x": "b"})] == ["spec.x"]


def test_old_items_are_found_by_their_keys_alone() -> None:
    rule = {"rule": "self.v >= oldSelf.v", "message": "only grows"}
    item = {
        "type": "object",
        "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
        "x-kubernetes-validations": [rule],
    }
    schema = _schema(m={"type": "array", "items": item, **_KEYED}, plain={"type": "array", "items": item})
    old, new = [{"k": "a", "v": 2}], [{"k": "b", "v": 0}, {"k": "a", "v": 1}]
    assert _causes(schema, {"m": new, "plain": new}, {"m": old, "plain": old}) == [
        ("spec.m[1]", "Invalid value: only grows")
    ]


def test_a_rule_that_was_broken_before_passes_with_a_warning_where_nothing_changed() -> None:
    schema = _schema(x=_ruled("string", {"rule": "self != 'bad'"}), y={"type": "string"})
    old, new = {"spec": {"x": "bad", "y": "1"}}, {"spec": {"x": "bad", "y": "2"}}
    effort = Effort()
    assert schema.validate(new, old, effort=effort) == []
    assert effort.warnings == ["spec.x: Invalid value: \"bad\": failed rule: self != 'bad'"]


def test_rules_are_not_run_on_what_does_not_fit_the_schema() -> None:
    schema = _schema({"rule": "self.a > 1"}, a={"type": "integer"})
    assert _causes(schema, {"a": "x"})[1] == (
        "<nil>",
        "Invalid value: null: some validation rules were not checked because the object was invalid; correct the"
        " existing errors to complete validation",
    )


def test_the_rules_of_an_object_share_a_budget() -> None:
    rule = {"rule": "self.all(x, self.all(y, x == y))"}
    schema = _schema(l={"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [rule]})
    assert _causes(schema, {"l": [1] * 50}) == []
    (found,) = _causes(schema, {"l": [1] * 2000})
    assert "no further validation rules will be run due to call cost exceeds limit for rule" in found[1]


def test_dear_rules_are_not_run_at_once() -> None:
    rule = {"rule": "self.all(x, self.all(y, x == y))"}
    schema = _schema(l={"type": "array", "items": {"type": "integer"}, "x-kubernetes-validations": [rule]})
    assert schema.validate({"spec": {"l": [1]}}, effort=Effort(quick=True)) == []
    with pytest.raises(TooDearError):
        schema.validate({"spec": {"l": [1] * 200}}, effort=Effort(quick=True))
    assert schema.validate({"spec": {"l": [1] * 200}}) == []


def test_rules_see_the_name_of_an_object_and_typed_values() -> None:
    rules = [{"rule": "self.metadata.name == self.spec.s"}, {"rule": "self.spec.t < timestamp('2024-01-01T00:00:00Z')"}]
    spec = {
        "type": "object",
        "properties": {"s": {"type": "string"}, "t": {"type": "string", "format": "date-time"}},
    }
    schema = Schema.compile({"type": "object", "properties": {"spec": spec}, "x-kubernetes-validations": rules})
    obj = {"metadata": {"name": "n"}, "spec": {"s": "n", "t": "2023-01-01T00:00:00Z"}}
    assert schema.validate(obj) == []
    assert [error.field for error in schema.validate({**obj, "metadata": {"name": "other"}})] == ["<nil>"]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("a", "expected [ or . but got: a"),
        (".a.b", "does not refer to a valid field"),
        (".a", ""),
        (".", "unexpected end of JSON path"),
        ("['a'", "unexpected end of JSON path"),
        ("[a]", "expected single quoted string but got a"),
        ("['\\q']", "invalid string literal: invalid escape char \\q"),
    ],
)
def test_paths_lead_to_declared_fields(target: str, problem: str) -> None:
    found = field_path({"type": "object", "properties": {"a": {"type": "string"}}}, target)
    assert found.problem == problem
