"""What expressions may cost at most."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.cel import cost_about, most_values

TEXT = {"type": "string"}
SHORT = {"type": "string", "maxLength": 10}


def cost(text: str, **properties: Any) -> int:
    shape = {"type": "object", "properties": properties}
    return cost_about(text, {"self": shape, "oldSelf": shape})


@pytest.mark.parametrize(
    ("text", "properties", "expected"),
    [
        ("true", {}, 0),
        ("self.x > 5", {"x": {"type": "integer"}}, 3),
        ("self.x == 'abcde'", {"x": TEXT}, 3),
        ("self.x.startsWith('abc') && self.x != ''", {"x": TEXT}, 5),
        ("self.x.matches('abcd')", {"x": SHORT}, 2 + 5 * 1),
        ("self.x + 'abcdefghij' == ''", {"x": SHORT}, 2 + 5 + 0),
        ("has(self.x) ? self.x > 1 : true", {"x": {"type": "integer"}}, 1 + 3),
        ("self.x.all(y, y > 1)", {"x": {"type": "array", "maxItems": 10, "items": {"type": "integer"}}}, 53),
        ("'a' in self.x", {"x": {"type": "array", "maxItems": 7, "items": TEXT}}, 9),
        ("self.x == oldSelf.x", {"x": {"type": "string", "enum": ["a", "abcdefghijk"]}}, 6),
    ],
)
def test_the_cost_follows_from_the_sizes_that_schemas_allow(text: str, properties: Any, expected: int) -> None:
    assert cost(text, **properties) == expected


def test_what_has_no_bound_is_bounded_by_the_request() -> None:
    lists = {"type": "array", "items": {"type": "array", "items": TEXT}}
    assert cost("self.x.all(y, y.all(z, z.matches('a*')))", x=lists) > 10**12
    assert cost("'x is ' + string(self.x) == ''", x={"type": "integer"}) > 10**15
    assert most_values({"type": "object", "required": ["a"], "properties": {"a": TEXT}}) == 3 * 2**20 // 10
