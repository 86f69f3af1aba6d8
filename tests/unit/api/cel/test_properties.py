"""Expressions made at random: against another implementation, and whatever is thrown at them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional
from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.api.cel import Budget, BudgetExceeded, Environment, EvaluationError, program
from knarr.api.cel.lexer import SyntaxFault
from knarr.api.cel.parser import parse

_PLAIN = Environment((("x", "dyn"),))
_OTHER = cel.NewEnv(variables={"x": cel.Type.DYN}, extensions=[ext_optional.ExtOptional()])

_NUMBERS = st.one_of(st.integers(-9, 9), st.integers(-(2**63), 2**63 - 1)).map(lambda n: f"({n})" if n < 0 else str(n))
_TEXTS = st.text(alphabet="ab'\\é\n", max_size=4).map(
    lambda text: "'" + re.sub(r"(['\\])", r"\\\1", text).replace("\n", r"\n") + "'"
)


def _ints(inner: Any) -> Any:
    return st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%"]), inner).map(lambda parts: f"({' '.join(parts)})")


_INTS = st.recursive(st.one_of(_NUMBERS, st.just("size([1, 2])")), _ints, max_leaves=6)
_STRINGS = st.recursive(_TEXTS, lambda inner: st.tuples(inner, inner).map(" + ".join), max_leaves=3)
_COMPARED = st.one_of(
    *(
        st.tuples(kind, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), kind).map(" ".join)
        for kind in (_INTS, _STRINGS)
    ),
    st.tuples(_STRINGS, st.sampled_from(["contains", "startsWith", "endsWith"]), _STRINGS).map(
        lambda parts: f"({parts[0]}).{parts[1]}({parts[2]})"
    ),
    st.tuples(_INTS, st.lists(_INTS, min_size=1, max_size=3)).map(
        lambda parts: f"{parts[0]} in [{', '.join(parts[1])}]"
    ),
    st.tuples(st.lists(_INTS, min_size=1, max_size=3), _INTS).map(
        lambda parts: f"[{', '.join(parts[0])}].all(v, v != {parts[1]})"
    ),
    st.tuples(st.lists(_INTS, min_size=1, max_size=3), _INTS).map(
        lambda parts: f"[{', '.join(parts[0])}].exists_one(v, v / {parts[1]} > 0)"
    ),
)


def _logic(inner: Any) -> Any:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||", "==", "!="]), inner).map(
            lambda parts: f"(({parts[0]}) {parts[1]} ({parts[2]}))"
        ),
        inner.map(lambda part: f"!({part})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"(({parts[0]}) ? ({parts[1]}) : ({parts[2]}))"),
    )


_BOOLS = st.recursive(st.one_of(_COMPARED, st.sampled_from(["true", "false"])), _logic, max_leaves=4)


def ours(text: str) -> Any:
    made = program(text, _PLAIN)
    assert made.problem == "", text
    try:
        return made.evaluate({}, Budget())
    except EvaluationError:
        return "error"


def theirs(text: str) -> Any:
    found = _OTHER.compile(text).eval()
    return "error" if found.type() == cel.Type.ERROR else found.plain_value()


@given(st.one_of(_INTS, _STRINGS, _BOOLS))
@settings(max_examples=150, deadline=None)
def test_values_are_those_of_another_implementation(text: str) -> None:
    try:
        wanted = theirs(text)
    except RuntimeError as error:
        if "recursion" in str(error):
            return
        raise
    found = ours(text)
    assert (type(found), found) == (type(wanted), wanted)


_TOKENS = st.sampled_from(
    ["a", "b.c", "1", "2u", "0x1F", "1.5", ".5e3", "'s'", "r'\\d'", "b'x'", '"""t"""', "true", "null", "in", "as", "x"]
    + [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        ".?",
        "[?",
        ",",
        ":",
        "?",
        "+",
        "-",
        "--",
        "!",
        "!!",
        "*",
        "/",
        "%",
        "<",
        ">=",
    ]
    + [
        "==",
        "&&",
        "||",
        "T{a: 1}",
        "f(",
        "a.f(",
        "// c\n",
        " ",
        "'a\\q'",
        "@",
        "$",
        "=",
        "{'a': 1}",
        "[1, 2,]",
    ]
)


@given(st.lists(_TOKENS, min_size=1, max_size=7).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_what_parses_is_what_parses_elsewhere(text: str) -> None:
    try:
        _OTHER.compile(text, disable_check=True)
        wanted = True
    except RuntimeError:
        wanted = False
    try:
        parse(text)
        found = True
    except SyntaxFault:
        found = False
    assert found is wanted


_SOUP = st.lists(
    st.one_of(
        _TOKENS,
        st.sampled_from(
            ["x", "x.a", "x[0]", "x.all(y, y > 0)", "x.map(y, y)", "size(x)", "type(x)", "string(x)", "int(x)"]
        ),
        st.sampled_from(
            ["x.exists(k, v, k == v)", "timestamp(x)", "x.matches(x)", "quantity(x)", "x.sum()", "x + x", "x?.a"]
        ),
        st.sampled_from(
            ["x.?a.orValue(1)", "has(x.a)", "x.split('')", "'%s'.format([x])", "cidr(x)", "x == x", "x in x"]
        ),
    ),
    min_size=1,
    max_size=5,
).map(" ".join)
_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)


@given(_SOUP, _JSON)
@settings(max_examples=400, deadline=None)
def test_whatever_is_evaluated_has_a_value_or_an_error(text: str, value: Any) -> None:
    made = program(text, _PLAIN)
    if made.problem:
        assert made.problem.startswith("compilation failed: ERROR: <input>:")
        return
    try:
        made.evaluate({"x": value}, Budget())
    except (EvaluationError, BudgetExceeded) as error:
        assert error.message


@pytest.mark.parametrize(
    "text",
    [
        "(" * 400 + "1" + ")" * 400,
        "1" + " + 1" * 400,
        "x" + ".a" * 400,
        "[" * 300 + "]" * 300,
        "-" * 5000 + "1",
        "!" * 5001 + "true",
    ],
)
def test_depth_is_bounded(text: str) -> None:
    made = program(text, _PLAIN)
    if made.problem:
        assert "recursion limit exceeded" in made.problem
    else:
        made.evaluate({}, Budget())


def test_long_logic_is_not_deep() -> None:
    assert ours(" && ".join(["true"] * 2000)) is True


def test_loops_over_a_million_items_end_soon() -> None:
    with pytest.raises(BudgetExceeded):
        program("x.all(a, x.all(b, a + b >= 0))", _PLAIN).evaluate({"x": list(range(10**6))}, Budget())
