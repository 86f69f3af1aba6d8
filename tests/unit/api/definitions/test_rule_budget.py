"""Rules of custom resources that are too dear."""

from __future__ import annotations

from typing import Any

from knarr.api.definitions.schema import check_root
from knarr.apimachinery.field import FieldError

HINT = "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings"


def found(properties: Any, **more: Any) -> list[tuple[str, str]]:
    errors: list[FieldError] = []
    check_root(errors, {"type": "object", "properties": properties, **more}, "schema")
    return [(error.field, error.detail) for error in errors]


def test_a_dear_rule_is_refused_and_told_of_in_the_total() -> None:
    lists = {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}
    rule = {"rule": "self.a.all(x, x.all(y, y.matches('a*')))"}
    where = "schema.x-kubernetes-validations[0].rule"
    assert found({"a": lists}, **{"x-kubernetes-validations": [{"rule": "true"}]}) == []
    assert found({"a": lists}, **{"x-kubernetes-validations": [rule]}) == [
        (where, f"estimated rule cost exceeds budget by factor of more than 100x ({HINT} are declared)"),
        (where, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"),
        (
            "schema",
            "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor "
            f"of more than 100x ({HINT} are declared)",
        ),
    ]


def test_a_rule_counts_as_often_as_its_value_can_be_there() -> None:
    item = {"type": "string", "maxLength": 500, "x-kubernetes-validations": [{"rule": "self.matches('^[a-z]{1,9}$')"}]}
    assert found({"a": {"type": "array", "maxItems": 10, "items": item}}) == []
    assert found({"a": {"type": "array", "maxItems": 20000, "items": item}}) == [
        (
            "schema.properties[a].items.x-kubernetes-validations[0].rule",
            f"estimated rule cost exceeds budget by factor of {20000 * (201 * 3 + 1) / 10**7:f}x ({HINT} are declared)",
        )
    ]
