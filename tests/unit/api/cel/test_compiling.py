"""Expressions: what they may use, and what Kubernetes says of bad ones."""

from __future__ import annotations

import pytest

from knarr.api.cel import Environment, compile_about, compile_expression, problem_error

_VARIABLES = (("authorizer", "Authorizer"), ("object", "dyn"), ("variables.n", "int"))
_POLICY = Environment(_VARIABLES, frozenset({"variables"}))
_SELF = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "replicas": {"type": "integer"},
        "foo-bar": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("variables.n < 5", "bool"),
        ("[object.a]", "list(dyn)"),
        ("{'a': 1}", "map(string, int)"),
        ("null", "null_type"),
        ("authorizer.group('').resource('pods').check('get').allowed()", "bool"),
        ("quantity('1').isGreaterThan(quantity('2')) && ip('::1').family() == 6", "bool"),
        ("object.?a.orValue(1)", "dyn"),
        ("cidr('10.0.0.0/8')", "net.CIDR"),
        ("timestamp('2024-01-01T00:00:00Z')", "google.protobuf.Timestamp"),
        ("object.?a", "optional_type(dyn)"),
        ("type(1)", "type(int)"),
        ("{'a': [1]}.map(k, k)", "list(string)"),
        ("[[], [1]]", "list(list(int))"),
        ("'a,b'.split(',').map(x, {x: 1u})", "list(map(string, uint))"),
    ],
)
def test_an_expression_has_a_type(text: str, kind: str) -> None:
    assert compile_expression(text, _POLICY).type == kind


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("variables.b", "1:10: undefined field 'b'\n | variables.b\n | .........^"),
        ("nope.x", "1:1: undeclared reference to 'nope' (in container '')\n | nope.x\n | ^"),
        ("a b", "1:1: undeclared reference"),
        ("1 + 'a'", "1:3: found no matching overload for '_+_' applied to '(int, string)'"),
        ("'a'.find(1)", "1:9: found no matching overload for 'find' applied to 'string.(int)'"),
        ("object.", "1:8: Syntax error: no viable alternative at input '.'"),
        ("", "1:0: Syntax error: mismatched input '<EOF>' expecting {"),
        ("'é' + 1", "1:5: found no matching overload for '_+_' applied to '(string, int)'\n | 'é' + 1\n | .．..^"),
        ("object.x ?\n 1 : 'a'", "1:10: found no matching overload for '_?_:_' applied to '(dyn, int, string)'"),
        ("1 && true", "1:1: expected type 'bool' but found 'int'"),
        ("[1, 'a']", "1:5: expected type 'int' but found 'string'"),
        ("nope(1)", "1:5: undeclared reference to 'nope' (in container '')"),
        ("object.nope(1)", "1:12: undeclared reference to 'nope' (in container '')"),
        ("'a'.all(x, true)", "1:1: expression of type 'string' cannot be range of a comprehension (must be list, map,"),
        ("[1].all(x.y, true)", "1:10: argument must be a simple name"),
        ("has(object)", "1:5: invalid argument to has() macro"),
        ("'x'.matches('(')", "1:13: invalid matches argument"),
        ("duration('x') == duration('1')", "1:10: invalid duration argument"),
        ("'%d'.format(['a'])", "1:14: error during formatting: decimal clause can only be used on integers, was given"),
        ("'%s'.format([1, 2])", "1:12: too many arguments supplied to string.format (expected 1, got 2)"),
        ("authorizer.x", "1:11: unexpected failed resolution of 'kubernetes.authorization.Authorizer'"),
        ("ip('::1').x", "1:10: type 'net.IP' does not support field selection"),
        ("cel.bind(x, 1, x)", "1:1: undeclared reference to 'cel' (in container '')"),
        ("dyn", "1:1: undeclared reference to 'dyn' (in container '')"),
        ("null + 1", "1:6: found no matching overload for '_+_' applied to '(null, int)'"),
        ("let", "1:1: reserved identifier: let"),
        ("9" * 5000, "1:1: invalid int literal"),
    ],
)
def test_faults_are_told_as_go_tells_them(text: str, problem: str) -> None:
    if text == "a b":
        problem = "1:3: Syntax error: extraneous input 'b' expecting <EOF>"
    assert compile_expression(text, _POLICY).problem.startswith(f"compilation failed: ERROR: <input>:{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("self.replicas <= 10", ""),
        ("has(self.name) && self.foo__dash__bar == ''", ""),
        ("self.list.all(x, x.k == 'a') && self.map.all(k, self.map[k] > 1)", ""),
        ("self == oldSelf", ""),
        ("self.nope == 1", "1:5: undefined field 'nope'"),
        ("has(self.nope)", "1:4: undefined field 'nope'"),
        ("self.list.all(x, x.z == 'a')", "1:19: undefined field 'z'"),
        ("self.list[0].q == 1", "1:13: undefined field 'q'"),
        ("self.name == 1", "1:11: found no matching overload for '_==_' applied to '(string, int)'"),
    ],
)
def test_rules_ask_only_for_what_the_schema_has(text: str, problem: str) -> None:
    found = compile_about(text, {"self": _SELF, "oldSelf": _SELF})
    wanted = f"compilation failed: ERROR: <input>:{problem}" if problem else ""
    assert found.problem.partition("\n")[0] == wanted


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("'a'.find(')') == ''", "error parsing regexp: unexpected ): `)`"),
        ("[1].all(x, int('x') == 1)", "type conversion error from 'string' to 'int'"),
    ],
)
def test_literals_are_worked_out_when_programs_are_made(text: str, problem: str) -> None:
    found = compile_expression(text, _POLICY).problem
    assert found == f"program instantiation failed: {problem}"
    assert str(problem_error("spec.x", text, found)) == f"spec.x: Internal error: {found}"


def test_what_a_mutation_builds_is_not_looked_into() -> None:
    environment = Environment((("object", "dyn"),), constructs=("Object", "JSONPatch"))
    assert compile_expression("Object{metadata: Object.metadata{labels: {'a': 'b'}}}", environment).type == "Object"
    assert compile_expression("[JSONPatch{op: 'add', path: '/a', value: 'b'}]", environment).type == "list(JSONPatch)"
    assert "undeclared reference to 'nope'" in compile_expression("Object{a: nope}", environment).problem
