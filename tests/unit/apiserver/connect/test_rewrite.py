from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver.connect.rewrite import Html, Links

PREFIX = "/api/v1/namespaces/n/pods/p/proxy"
LINKS = Links(PREFIX, "10.42.0.9:80", "front:6443")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("/a", PREFIX + "/a"),
        ("/", PREFIX + "/"),
        ("/a/b/?q=1&r#f", PREFIX + "/a/b/?q=1&r#f"),
        ("http://10.42.0.9:80/a", PREFIX + "/a"),
        ("https://front:6443/a", "https://front:6443" + PREFIX + "/a"),
        ("http://elsewhere/a", "http://elsewhere/a"),
        ("relative/a", "relative/a"),
        ("", ""),
        ("#top", "#top"),
        ("mailto:x@y", "mailto:x@y"),
        (PREFIX + "/a", PREFIX + "/a"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_links(link: str, expected: str) -> None:
    assert LINKS.rewrite(link) == expected


PAGE = (
    b'<!doctype html><html><a href="/rewriteme">test</a><a class=x href=/bare>b</a>'
    b'<IMG SRC=\'/i.png\' alt="a > b"><form action="/f"></form><p title="/no">1 < 2 & 3</p><a>none</a></html>'
)
CHANGED = (
    f'<!doctype html><html><a href="{PREFIX}/rewriteme">test</a><a class=x href="{PREFIX}/bare">b</a>'
    f'<IMG SRC="{PREFIX}/i.png" alt="a > b"><form action="{PREFIX}/f"></form>'
    '<p title="/no">1 < 2 & 3</p><a>none</a></html>'
).encode()


def through(data: bytes, places: list[int]) -> bytes:
    html = Html(LINKS)
    marks = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return b"".join(html.feed(data[a:b]) for a, b in zip(marks, marks[1:], strict=False)) + html.finish()


@given(st.lists(st.integers(0, 1000), max_size=6))
def test_pages_are_rewritten_however_they_are_cut(places: list[int]) -> None:
    # A tag whose quotes hold a ">" may be cut in them, and then passes as it is.
    page, changed = PAGE.replace(b"a > b", b"a b"), CHANGED.replace(b"a > b", b"a b")
    assert through(page, places) == changed


def test_quoted_signs_do_not_end_a_tag() -> None:
    assert through(PAGE, []) == CHANGED


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_what_holds_no_links_passes_unchanged(data: bytes, places: list[int]) -> None:
    data = data.replace(b"=", b"")
    assert through(data, places) == data
