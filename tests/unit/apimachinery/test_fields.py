from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import fields
from knarr.apimachinery.fields import Selector, Term, parse


def test_matching() -> None:
    selector = parse("metadata.name=a,status.phase!=Running,spec.nodeName==")
    assert selector.matches({"metadata.name": "a", "status.phase": "Pending"})
    assert not selector.matches({"metadata.name": "a", "status.phase": "Running"})
    assert not selector.matches({"metadata.name": "a", "spec.nodeName": "n"})
    assert parse("").is_everything
    assert selector.exact("metadata.name") == "a"
    assert selector.exact("status.phase") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value) == message


def test_transform_may_rename_and_refuse() -> None:
    def transform(name: str, value: str) -> tuple[str, str]:
        if name == "bad":
            raise ValueError("field label not supported: bad")
        return f"x.{name}", value

    assert parse("a=1", transform).terms == (Term("x.a", "1"),)
    with pytest.raises(ValueError, match="not supported: bad"):
        parse("bad=1", transform)


@given(st.lists(st.builds(Term, st.sampled_from(["a", "b.c"]), st.text("xy,=\\!", max_size=4), st.booleans())))
def test_text_form_parses_back(terms: list[Term]) -> None:
    again = parse(str(Selector(terms)))
    assert sorted(map(str, again.terms)) == sorted(map(str, terms))
    assert fields.EVERYTHING.matches({})
