"""Values of expressions, what is said of those that have none, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.cel import (
    Budget,
    BudgetExceeded,
    Environment,
    EvaluationError,
    Lazy,
    Optional,
    program,
    schema_environment,
)

_ANY = Environment((("a", "dyn"), ("b", "dyn"), ("object", "dyn"), ("oldObject", "dyn")))


def value(text: str, **given: Any) -> Any:
    made = program(text, _ANY)
    assert made.problem == ""
    return made.evaluate(given, Budget())


def failure(text: str, **given: Any) -> str:
    with pytest.raises(EvaluationError) as caught:
        value(text, **given)
    return caught.value.message


def cost(text: str, **given: Any) -> int:
    budget = Budget()
    program(text, _ANY).evaluate(given, budget)
    return 10_000_000 - budget.remaining


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1 + 2 * 3 - -4 / 2 % 3", 9),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("dyn(1) == 1.0 && dyn(1u) == 1 && 2 > 1.5", True),
        ("dyn(1) == dyn('1')", False),
        ("dyn(1) == dyn(true)", False),
        ("[1, 2] == [1, 2] && {'a': [1]} == {'a': [1]}", True),
        ("false && 1 / 0 > 0 || true", True),
        ("1 / 0 > 0 && false", False),
        ("true ? 1 : 1 / 0", 1),
        ("'b' in ['a', 'b'] && 'k' in {'k': 1}", True),
        ("[1, 2, 3].all(x, x > 0)", True),
        ("[0, 1].exists(x, 1 / x > 0)", True),
        ("[1, 2, 3].exists_one(x, x > 2)", True),
        ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
        ("[1, 2, 3].filter(x, x % 2 == 1)", [1, 3]),
        ("{'a': 1, 'b': 2}.map(k, k)", ["a", "b"]),
        ("['x', 'y'].transformList(i, v, v + string(i))", ["x0", "y1"]),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)", {"b": 20}),
        ("['a', 'b'].transformMapEntry(i, v, {v: i})", {"a": 0, "b": 1}),
        ("[1, 2].all(i, v, v == i + 1) && {'a': 1}.exists(k, v, k == 'a' && v == 1)", True),
        ("type(1) == int && type('a') != type(1) && type([]) == list", True),
        ("timestamp('2024-02-29T12:00:00.5Z') + duration('1h') > timestamp('2024-02-29T12:59:59Z')", True),
        ("string(duration('1h30m')) + string(timestamp('2024-01-01T00:00:00.120Z'))", "5400s2024-01-01T00:00:00.12Z"),
        ("timestamp('2024-02-29T23:30:00Z').getDayOfMonth('+01:00')", 0),
        ("string(1.0) + string(1000000.0) + string(0.00001) + string(123.456)", "11e+061e-05123.456"),
        ("int('12') + int(3.9) + int(5u)", 20),
        ("bytes('é').size() + 'é'.size()", 3),
        ("b'\\xff' == b'\\377' && '\\u00e9' == 'é' && r'\\n'.size() == 2", True),
        ("'Ab'.lowerAscii() + 'Ab'.upperAscii() + ' x '.trim() + 'abc'.substring(1, 2)", "abABxb"),
        ("'a,b,c'.split(',', 2) == ['a', 'b,c'] && ['a', 'b'].join('-') == 'a-b'", True),
        ("'hello'.replace('l', 'L', 1).indexOf('l') == 3", True),
        (
            "'hello'.indexOf('l', 9) == -1 && 'hello'.lastIndexOf('l', 9) == -1 && 'hello'.lastIndexOf('l', 2) == 2",
            True,
        ),
        ("'abc'.matches('^a.c$') && 'a1b22'.findAll('[0-9]+') == ['1', '22'] && 'x9'.find('[0-9]') == '9'", True),
        ("a.?b.?c.orValue('none')", "none"),
        ("optional.of(1).optMap(x, x + 1).value()", 2),
        ("[1, ?optional.none(), 3] == [1, 3] && {?'a': optional.of(1), ?'b': optional.none()} == {'a': 1}", True),
        ("[1][?5].hasValue() || optional.none().or(optional.of(2)).value() == 2", True),
        ("!has(a.b) && has(a.x)", True),
        ("a == b", True),
    ],
)
def test_what_expressions_are_worth(text: str, wanted: Any) -> None:
    assert value(text, a={"x": 1}, b={"x": 1.0}) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("object.x", "no such key: x"),
        ("oldObject.spec", "no such key: spec"),
        ("b", "no such attribute(s): b"),
        ("[1][5]", "index out of bounds: 5"),
        ("{'a': 1}['b']", "no such key: b"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "modulus by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("0u - 1u", "unsigned integer overflow"),
        ("dyn(1) + 'a' == ''", "no such overload"),
        ("int(dyn('x'))", "type conversion error from 'string' to 'int'"),
        ("[0, 1].all(x, 1 / x > 0)", "division by zero"),
        ("timestamp(dyn('x'))", "type conversion error from 'string' to 'google.protobuf.Timestamp'"),
        ("'abc'.substring(2, 9)", "index out of range: 9"),
        ("optional.none().value()", "optional.none() dereference"),
        ("dyn(1).all(x, x)", "got 'types.Int', expected iterable type"),
        ("dyn({}) + 1 == 2", "no such overload: _+_"),
        ("int(dyn([]))", "type conversion error from 'list' to 'int'"),
        ("size(dyn(1))", "no such overload: size"),
        ("dyn(1).startsWith('a')", "no such overload: startsWith(int, string)"),
        ("'a'.matches(dyn('('))", "error parsing regexp: missing closing ): `(`"),
    ],
)
def test_what_is_said_of_expressions_without_a_value(text: str, message: str) -> None:
    assert failure(text, object={}, oldObject=None) == message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("true", 0),
        ("object.a.b == 1", 4),
        ("has(object.a)", 1),
        ("object.l.all(x, x > 0)", 2 + 1 + 3 * (3 + 2)),
        ("object.l.map(x, x * 2)", 2 + 1 + 3 * (12 + 2)),
        ("'abcdefghijkl' + object.s == ''", 2 + 2),
        ("[1, 2, 3].size()", 1),
        ("[object, 2].size()", 12),
        ("object.a.b in [1, 2]", 3),
        # Numbers of Kubernetes' own tests, less what making literals costs, which servers make but once.
        ("{'a': 1, 'b': 2}.all(k, v, v > 0)", 11),
        ("{'a': 1, 'b': 2}.exists(k, v, v > 0)", 10),
        ("{'a': 1, 'b': 2}.existsOne(k, v, v > 0)", 10),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v < 5, v + 1)", 15),
        ("{'a': 1, 'b': 2}.transformMapEntry(k, v, {k: v + 1})", 71),
        ("[1, 2].transformList(i, v, v < 5, v + 1)", 33),
        ("ip('2001:db8:3333:4444:5555:6666:7777:8888').family()", 5),
        ("cidr('192.168.0.0/16').containsCIDR('192.0.0.0/30')", 7),
        ("cidr('192.168.0.0/16').containsIP(ip('192.169.0.1'))", 5),
        ("'ABCDEFGHIJ abcdefghij'.upperAscii() == 'abcdefghij ABCDEFGHIJ'.upperAscii()", 9),
        ("['aa', 'bb', 'cc', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join(' ')", 5),
        ("'abc 123 def 123'.findAll('123', 1)", 2),
        ("quantity('50k').add(20).sub(quantity('100k')).sub(-50000).asInteger() > 0", 7),
        ("format.named('dns1123Subdomain').value().validate('my-name')", 17),
        ("sets.equivalent([1, 2, 3], [3, 2, 1])", 19),
        ("semver('1234.56789012345.67890123456789')", 4),
    ],
)
def test_what_evaluating_costs(text: str, wanted: int) -> None:
    assert cost(text, object={"a": {"b": 1}, "l": [1, 2, 3], "s": "x"}) == wanted


_COSTED = {
    "type": "object",
    "properties": {
        "obj": {"type": "object", "properties": {"field": {"type": "string"}, "absent": {"type": "string"}}},
        "m": {"type": "object", "additionalProperties": {"type": "integer"}},
        "l": {
            "type": "array",
            "items": {"type": "object", "properties": {k: {"type": "string"} for k in ("k", "v", "v2")}},
        },
        "text": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
    },
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("type(self.text) == string", 4),
        ("double(5) < 10.0", 1),
        ("self.text.matches('^[^0-9]*$')", 8),
        ("self.text.indexOf('o', 2) == 2", 4),
        ("self.text.replace(' ', 'x') == 'Rookxtakesx👑'", 7),
        ("self.text.split(' ') == ['Rook', 'takes', '👑']", 6),
        ("self.text in ['Pending', 'Available']", 2),
        ("self.at == timestamp('2011-08-18T00:00:00.000+01:00') + duration('19h3m37s10ms')", 4),
        ("string(self.at) == '2011-08-18T19:03:37.01+01:00'", 6),
        ("has(self.obj.field) && !has(self.obj.absent)", 5),
        ("!('a' in self.m) || true", 4),
        ("self.m.all(k, self.m[k] > 0)", 17),
        ("self.m.exists_one(k, self.m[k] == 2)", 14),
        ("size(self.m.filter(k, self.m[k] > 1)) == 1", 26),
        ("self.l == [self.l[0], self.l[1]]", 19),
        ("self.l.all(m, m.k.startsWith('a'))", 21),
        ("!self.l.exists(m, m.v == 'x')", 25),
        ("self.l.map(m, m.v).exists(v, v == 'b1')", 55),
        ("self.l.exists(m, has(m.v2) && m.v2 == 'z')", 21),
        ("self.l.exists(m, m.v2 == 'z')", 24),
        ("!self.l.all(m, m.v2 != 'z')", 22),
        ("self.l.map(m, has(m.v2) && m.v2 == 'z', m.v2).size() == 1", 25),
        ("self.l.filter(m, has(m.v2) && m.v2 == 'z').map(m, m.v2).size() == 1", 39),
        ("optional.of('a') != optional.none()", 3),
        ("optional.of('a').or(optional.of('a')).hasValue()", 2),
        ("optional.of('a').optMap(v, v == 'value').hasValue()", 8),
        ("self.obj.?field == optional.of('a')", 5),
        ("self.obj.?absent == optional.none()", 4),
        ("self.obj.?field.orValue('v') == 'a'", 4),
        ("self.m[?'a'] == optional.of(1)", 5),
    ],
)
def test_rules_cost_what_they_cost_in_kubernetes(text: str, wanted: int) -> None:
    value = {
        "obj": {"field": "a"},
        "m": {"a": 1, "b": 2},
        "l": [{"k": "a1", "v": "b1"}, {"k": "a2", "v": "b2"}, {"k": "a3", "v": "b3", "v2": "z"}],
        "text": "Rook takes 👑",
        "at": "2011-08-18T19:03:37.010000000+01:00",
    }
    budget = Budget()
    program(text, schema_environment(_COSTED)).evaluate({"self": value}, budget)
    assert 10_000_000 - budget.remaining == wanted


def test_loops_that_never_end_stop_with_the_budget() -> None:
    many = list(range(2000))
    with pytest.raises(BudgetExceeded) as caught:
        value("a.all(x, a.all(y, a.all(z, x + y + z >= 0)))", a=many)
    assert caught.value.call
    budget = Budget(limit=10)
    with pytest.raises(BudgetExceeded, match="running out of cost budget"):
        program("a.all(x, x >= 0)", _ANY).evaluate({"a": many}, budget)


def test_values_are_made_when_they_are_asked_for() -> None:
    asked: list[str] = []

    def made(name: str) -> int:
        asked.append(name)
        return 3

    given = Lazy({"n": lambda: made("n"), "m": lambda: made("m")})
    environment = Environment((("variables.n", "int"), ("variables.m", "dyn")), frozenset({"variables"}))
    assert program("variables.n + variables.n == 6", environment).evaluate({"variables": given}, Budget()) is True
    assert asked == ["n"]


_SCHEMA = {
    "type": "object",
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "zoned": {"type": "string", "format": "date-time"},
        "ttl": {"type": "string", "format": "duration"},
        "data": {"type": "string", "format": "byte"},
        "share": {"type": "number"},
        "port": {"x-kubernetes-int-or-string": True},
        "foo-bar": {"type": "string"},
        "nothing": {"type": "string", "nullable": True},
        "nulls": {"type": "object", "additionalProperties": {"type": "string", "nullable": True}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "number"}}},
        },
        "times": {"type": "array", "items": {"type": "string", "format": "date-time"}},
    },
}


@pytest.mark.parametrize(
    "text",
    [
        "self.at > timestamp('2024-01-01T00:00:00Z') && self.at.getFullYear() == 2024",
        "self.ttl == duration('1h30m')",
        "self.data == b'abc'",
        "self.share + 0.5 == 2.5 && type(self.share) == double",
        "type(self.port) == int ? self.port == 80 : self.port == '80'",
        "self.foo__dash__bar == 'x' && has(self.foo__dash__bar)",
        "self.set == oldSelf.set && self.set + ['c', 'a'] == ['c', 'b', 'a']",
        "self.map == oldSelf.map && self.map[0].v == 1.0 && (self.map + oldSelf.map).size() == 2",
        "self.times.all(t, t < self.at) && self.times.exists(t, t.getFullYear() == 2020)",
        "self.metadata.name == 'n' && self.kind == 'K'",
        "self == self",
        # Null in a field is as good as no field, in a map or a list it is a value.
        "!has(self.nothing) && !self.?nothing.hasValue() && type(self.nulls['a']) == null_type && 'a' in self.nulls",
        "string(self.zoned) == '2011-08-18T19:03:37.01+01:00' && self.zoned.getHours() == 18",
        "string(self.zoned + duration('1h')) == '2011-08-18T20:03:37.01+01:00'",
    ],
)
def test_values_have_the_types_that_schemas_declare(text: str) -> None:
    given = {
        "at": "2024-02-29T00:00:00Z",
        "ttl": "1h30m",
        "data": "YWJj",
        "share": 2,
        "port": 80,
        "foo-bar": "x",
        "set": ["a", "b"],
        "map": [{"k": "x", "v": 1}, {"k": "y", "v": 2}],
        "times": ["2020-01-01T00:00:00Z", "2020-06-01 12:00:00", "2020-06-01T12:00:00.5+0100"],
        "metadata": {"name": "n"},
        "kind": "K",
        "nothing": None,
        "nulls": {"a": None},
        "zoned": "2011-08-18T19:03:37.010+01:00",
    }
    old = {**given, "set": ["b", "a"], "map": given["map"][::-1]}  # type: ignore[index]
    made = program(text, schema_environment(_SCHEMA, root=True))
    assert made.problem == ""
    assert made.evaluate({"self": given, "oldSelf": old}, Budget()) is True


def test_what_is_said_of_rules() -> None:
    environment = schema_environment(_SCHEMA, root=True)
    with pytest.raises(EvaluationError, match="no such key: nothing"):
        program("self.nothing == 'a'", environment).evaluate({"self": {"nothing": None}}, Budget())
    for text, problem in {
        "has(self.metadata.namespace)": "1:4: undefined field 'namespace'",
        "self.nothing == null": "1:14: found no matching overload for '_==_' applied to '(string, null)'",
        "self['at'] == 1": "1:5: found no matching overload for '_[_]' applied to '(selfType, string)'",
        "string(type(self.map[0])) == ''": "1:7: found no matching overload for 'string' applied to '(type(",
        "self.true == 1": "1:6: Syntax error: no viable alternative at input '.true'",
    }.items():
        assert program(text, environment).problem.startswith(f"compilation failed: ERROR: <input>:{problem}")


def test_an_old_value_may_be_absent() -> None:
    schema = {"type": "integer"}
    made = program("!oldSelf.hasValue() || oldSelf.value() <= self", schema_environment(schema, optional_old=True))
    assert made.evaluate({"self": 3, "oldSelf": Optional(present=False)}, Budget()) is True
    assert made.evaluate({"self": 3, "oldSelf": Optional(4)}, Budget()) is False


def test_objects_are_constructed() -> None:
    environment = Environment((("object", "dyn"),), constructs=("Object", "JSONPatch"))
    made = program("Object{metadata: Object.metadata{labels: {'a': 'b'}, ?name: object.?nope}}", environment)
    found = made.evaluate({"object": {}}, Budget())
    assert found == {"metadata": {"labels": {"a": "b"}}}
    assert (found.kind, found["metadata"].kind) == ("Object", "Object.metadata")
