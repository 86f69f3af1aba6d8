from __future__ import annotations

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.errors import StatusError
from knarr.apiserver import continue_token

_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).filter(lambda text: text != "..")


@given(_NAMES, st.integers(1, 1 << 60))
def test_a_token_says_what_was_put_in(after: str, revision: int) -> None:
    assert continue_token.decode(continue_token.encode(after, revision)) == (after, revision)


def test_tokens_that_are_none_are_refused() -> None:
    other = base64.urlsafe_b64encode(orjson.dumps({"v": "meta.k8s.io/v9", "rv": 1, "start": "a"})).decode().rstrip("=")
    escaping = continue_token.encode("../secrets", 1)
    for token in ("bogus", "!", other, escaping, base64.urlsafe_b64encode(b"{").decode().rstrip("=")):
        with pytest.raises(StatusError) as caught:
            continue_token.decode(token)
        assert caught.value.code == 400


def test_a_key_that_begins_a_page_belongs_to_it() -> None:
    content = orjson.dumps({"v": "meta.k8s.io/v1", "rv": 1, "start": "ns/name"})
    position = continue_token.decode(base64.urlsafe_b64encode(content).decode().rstrip("="))
    assert "ns/namd" < position.after < "ns/name"
