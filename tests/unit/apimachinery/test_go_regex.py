"""Regular expressions as Go takes them."""

from __future__ import annotations

import pytest

from knarr.apimachinery.go_regex import problem as go_problem


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("^a+[[:alpha:]]\\d{2,3}\\z", ""),
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a(?=b)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(a)\\1", "invalid escape sequence: `\\1`"),
        ("[z-a]", "invalid character class range: `z-a`"),
    ],
)
def test_says_what_go_says(pattern: str, problem: str) -> None:
    assert go_problem(pattern) == (f"error parsing regexp: {problem}" if problem else "")
