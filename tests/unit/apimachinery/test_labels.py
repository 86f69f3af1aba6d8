from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import labels
from knarr.apimachinery.labels import EVERYTHING, NOTHING, from_object, from_set, parse

LABELS = {"app": "web", "tier": "", "n": "5"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True), ("app=web", True), ("app==web", True), ("app!=web", False), ("app", True), ("!app", False),
        ("! app", False), ("none", False), ("!none", True), ("none!=x", True), ("app in (web,db)", True),
        ("app in (db)", False), ("app notin (db)", True), ("none notin (db)", True), ("tier=", True),
        ("tier in ()", True), ("tier in (,)", True), ("app in (,web)", True), ("tier,app", True), ("n>4", True),
        ("n>5", False), ("n<6", True), ("app>1", False), ("none>1", False), ("app=web,n=5", True),
        ("app=web , n=6", False), ("in in (in)", False), ("app in(web)", True), ("app in (a,,b),tier", False),
    ],
)  # fmt: skip
def test_matching(text: str, matches: bool) -> None:
    assert parse(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("n gt 3", "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt"),
        ("app=x y", "found 'y', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("n>x", "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value"
         " must be an integer"),
        ("app=" + "v" * 64, f'unable to parse requirement: values[0][app]: Invalid value: "{"v" * 64}": must be no'
         " more than 63 bytes"),
    ],
)  # fmt: skip
def test_parse_errors(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value) == message


def test_bad_key_names_no_path() -> None:
    with pytest.raises(ValueError, match=r'^unable to parse requirement: <nil>: Invalid value: "A/b/c": a valid label'):
        parse("A/b/c=1")


def test_object_selectors() -> None:
    assert not from_object(None).matches({})
    assert from_object({}).matches({})
    selector = from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "Exists"},
                {"key": "n", "operator": "NotIn", "values": ["6"]},
                {"key": "gone", "operator": "DoesNotExist"},
                {"key": "n", "operator": "In", "values": ["5", "7"]},
            ],
        }
    )
    assert selector.matches(LABELS)
    assert not selector.matches({**LABELS, "gone": ""})
    with pytest.raises(ValueError, match='^"Has" is not a valid label selector operator$'):
        from_object({"matchExpressions": [{"key": "a", "operator": "Has"}]})
    with pytest.raises(ValueError, match="values set can't be empty"):
        from_object({"matchExpressions": [{"key": "a", "operator": "In"}]})


def test_sets_and_constants() -> None:
    assert from_set(None) is EVERYTHING
    assert from_set({"a": "b"}).matches({"a": "b", "c": "d"})
    assert not from_set({"a": "b"}).matches(None)
    assert EVERYTHING.is_everything and NOTHING.is_nothing and not NOTHING.is_everything
    assert from_set({"a": "b"}).exact("a") == "b"
    assert parse("a in (b,c)").exact("a") is None
    assert parse("a in (b)").exact("a") == "b"


KEYS = st.sampled_from(["a", "b", "x.y/z", "in", "notin"])
VALUES = st.sampled_from(["", "1", "2", "v_1", "in"])
REQUIREMENTS = st.one_of(
    st.builds(
        lambda key, op, values: labels.requirement(key, op, values),
        KEYS,
        st.sampled_from([labels.IN, labels.NOT_IN]),
        st.sets(VALUES, min_size=1, max_size=3),
    ),
    st.builds(
        lambda key, op, value: labels.requirement(key, op, [value]),
        KEYS,
        st.sampled_from([labels.EQUALS, labels.DOUBLE_EQUALS, labels.NOT_EQUALS]),
        VALUES,
    ),
    st.builds(
        lambda key, op: labels.requirement(key, op, []), KEYS, st.sampled_from([labels.EXISTS, labels.DOES_NOT_EXIST])
    ),
    st.builds(
        lambda key, op, value: labels.requirement(key, op, [str(value)]),
        KEYS,
        st.sampled_from([labels.GREATER, labels.LESS]),
        st.integers(0, 5),
    ),
)


@given(st.lists(REQUIREMENTS, max_size=4), st.dictionaries(KEYS, VALUES))
def test_text_form_parses_back_to_the_same_selector(requirements: list[labels.Requirement], on: dict[str, str]) -> None:
    selector = labels.Selector(requirements)
    again = parse(str(selector))
    assert again.requirements == selector.requirements
    assert again.matches(on) == all(requirement.matches(on) for requirement in requirements)


@given(st.text("ab,=!()<> in", max_size=12))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        selector = parse(text)
    except ValueError:
        return
    assert parse(str(selector)).requirements == selector.requirements
