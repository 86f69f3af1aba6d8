"""What expressions may cost at most."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.cel import cost_about, most_values, program, schema_environment
from knarr.api.cel.sizes import MOST

TEXT = {"type": "string"}
SHORT = {"type": "string", "maxLength": 10}
INT = {"type": "integer"}


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


@pytest.mark.parametrize(
    ("text", "properties", "expected"),
    [
        ("self.x.map(y, y + 1).size() == 2", {"x": {"type": "array", "maxItems": 5, "items": INT}}, 85),
        ("self.x.replace('a', 'bb').size() > 1", {"x": SHORT}, 2 + 8 + 1 + 1),
        ("self.x.split(',').all(y, y == 'a')", {"x": SHORT}, 2 + 8 + 1 + 40 * (2 + 1 + 1 + 0)),
        ("['a', self.x].join(',').size() > 0", {"x": SHORT}, MOST),
        ("quantity(self.x).isLessThan(quantity('1'))", {"x": SHORT}, 2 + 4 + 1 + 1),
        ("[1, 2].transformList(i, v, v < 5, v + 1)", {}, 53),
        ("{'a': 1, 'b': 2}.exists(k, v, v > 0)", {}, 43),
        ("ip.isCanonical('192.168.0.1')", {}, 3),
        ("cidr('192.168.0.0/16').containsCIDR('192.0.0.0/30')", {}, 11),
        ("url('https:://kubernetes.io/') == url('https:://kubernetes.io/')", {}, 9),
        ("strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", {}, 11),
        ("format.named('dns1123Label').value() == format.named('dns1123Label').value()", {}, 11),
        ("format.named('dns1123Label').value().validate('my-name')", {}, 34),
        ("sets.equivalent([1], [1, 1])", {}, 25),
        (
            "self.x.sort()[0] == 1",
            {"x": {"type": "array", "maxItems": 5, "items": {"type": "integer"}}},
            2 + 61 + 1 + 0,
        ),
        ("sets.contains(self.x, [1])", {"x": {"type": "array", "maxItems": 5, "items": {"type": "integer"}}}, 18),
        ("self.x.all(k, v, v > 1)", {"x": {"type": "object", "maxProperties": 5, "additionalProperties": INT}}, 28),
    ],
)
def test_libraries_have_their_costs(text: str, properties: Any, expected: int) -> None:
    assert cost(text, **properties) == expected


def test_whole_objects_have_a_name_of_some_length() -> None:
    rule = program("self.metadata.name.startsWith('a')", schema_environment({"type": "object"}, root=True))
    assert (rule.problem, rule.estimate()) == ("", 4)


def _list(item: Any, **bounds: Any) -> Any:
    return {"type": "array", "items": item, **bounds}


def _map(value: Any, **bounds: Any) -> Any:
    return {"type": "object", "additionalProperties": value, **bounds}


def _string(length: int) -> Any:
    return {"type": "string", "maxLength": length}


NUMBER, DURATION, TIME = {"type": "number"}, {**TEXT, "format": "duration"}, {**TEXT, "format": "date-time"}


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("self.all(x, true)", _list(NUMBER), 4718591),
        ("self.all(x, true)", _list(TEXT), 3145727),
        ("self.all(x, true)", _list(DURATION), 2359295),
        ("self.all(x, true)", _list(TIME), 428963),
        ("self.all(x, true)", _map({"x-kubernetes-int-or-string": True}), 1348169),
        ("self.all(x, true)", _map(TIME), 349526),
        ("self.all(x, true)", _map(TIME, maxProperties=10), 32),
        ("self.contains('test')", TEXT, 314574),
        ("size(self + 'hello') > size('hello')", _string(4), 7),
        ("self[1] == self[1]", _list(TEXT), 314577),
        ("self.all(x, self.all(y, self.all(z, true)))", _list(NUMBER, maxItems=10), 3552),
        ("self.matches('x')", _string(50), 22),
        ("self.all(x, x.y == 25.2)", _list(_map(NUMBER)), 6291452),
        ("self.find('[0-9]+') == ''", _string(10), 11),
        ("self.join(' ') == 'aa bb'", _list(TEXT), 329853068905),
        ("self.join(' ') == 'aa bb'", _list(_string(10), maxItems=10), 43),
        ("self.isSorted() == true", _list(TEXT), 329854432052),
        ("self['a'] == self['b']", _map(TIME), 8),
        ("oldSelf.size() == self.size()", _map(INT), 5),
    ],
)
def test_estimates_are_those_of_kubernetes(text: str, schema: Any, expected: int) -> None:
    rule = program(text, schema_environment(schema))
    assert (rule.problem, rule.estimate()) == ("", expected)
