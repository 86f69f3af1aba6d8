"""An apply's body in JSON is what the same text is in YAML."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.api.codec import json_text, yaml_text
from knarr.apiserver import bodies

_TEXT = st.text(st.characters(codec="ascii"), max_size=6)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=3))
def test_the_quick_way_finds_what_the_long_one_finds(value: dict[str, object]) -> None:
    data = orjson.dumps(value)
    found = bodies._plain_json(data)
    if found is not None:
        parsed, problems = yaml_text.parse(data)
        assert (json_text.plain(parsed), problems) == (found, [])


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"a":1.0}',
        b'{"a":[1e3]}',
        b'{"a":1e400}',
        b'{"a":99999999999999999999}',
        b'{"a":"\\u00e4"}',
        '{"a":"ä"}'.encode(),
        b'{"<<":{"a":1}}',
        b"a: b",
        b"[1]",
        b"{a: b}",
    ],
)
def test_what_the_two_may_read_differently_goes_the_long_way(data: bytes) -> None:
    assert bodies._plain_json(data) is None


def test_common_bodies_go_the_quick_way() -> None:
    assert bodies.yaml_object(b'{"a": {"image": "nginx:1.27", "n": -3}}') == (
        {"a": {"image": "nginx:1.27", "n": -3}},
        [],
    )
