from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.kubelet.expansion import MissingValues, expand, expand_all, expand_strictly


def plainly(text: str, values: dict[str, str]) -> str:
    """The rule read aloud: from left to right, one character after the other."""
    out, at = "", 0
    while at < len(text):
        rest = text[at:]
        if rest.startswith("$$"):
            out, at = out + "$", at + 2
        elif rest.startswith("$(") and ")" in rest:
            name = rest[2 : rest.index(")")]
            out, at = out + values.get(name, f"$({name})"), at + len(name) + 3
        else:
            out, at = out + text[at], at + 1
    return out


@given(st.text("$()ABx ", max_size=30), st.dictionaries(st.text("ABx", min_size=1, max_size=2), st.text("$(A)y")))
def test_expansion_is_what_a_plain_reading_gives(text: str, values: dict[str, str]) -> None:
    assert expand(text, values) == plainly(text, values)


def test_escapes_unknown_names_and_later_sources() -> None:
    assert expand("$(A)-$$(A)-$(NO)-$A", {"A": "1"}, {"A": "2", "B": "3"}) == "1-$(A)-$(NO)-$A"
    assert expand_all(["$(B)", "$(A"], {"A": "1"}, {"B": "3"}) == ["3", "$(A"]


def test_a_sub_path_needs_every_value() -> None:
    assert expand_strictly("a/$(POD)", {"POD": "p"}) == "a/p"
    with pytest.raises(MissingValues, match="missing value for EMPTY, NO"):
        expand_strictly("$(NO)/$(EMPTY)", {"EMPTY": ""})
