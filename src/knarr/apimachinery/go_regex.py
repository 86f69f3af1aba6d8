"""Regular expressions as Go takes and matches them: RE2, by Google's own library, in time linear in the text.

Source: https://pkg.go.dev/regexp/syntax. The library's parser and Go's are one design; their words differ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

#: RE2's sentence -> Go's.
_SENTENCES = {
    "missing )": "missing closing )",
    "unexpected )": "unexpected )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "invalid UTF-8": "invalid UTF-8",
    "invalid character class range": "invalid character class range",
    "invalid character class": "invalid character class",
    "invalid escape sequence": "invalid escape sequence",
}
_TRAILING = "trailing \\"
_MOST_SPECIAL = "(?"


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """The compiled pattern: `search(text)` gives a match or None. Raises `ValueError` as `problem` says."""
    wrong = problem(pattern)
    if wrong:
        raise ValueError(wrong)
    import re2

    return re2.compile(pattern, _options())


def matches(pattern: str, text: str) -> bool:
    """Whether the text has a match anywhere. Raises `ValueError` for a pattern that Go does not take."""
    return compiled(pattern).search(text) is not None


@lru_cache(maxsize=4096)
def quick(pattern: str) -> Callable[[str], bool]:
    """A faster test: True for texts that surely have a match; of others nothing is known. Raises `ValueError`."""
    wrong = problem(pattern)
    if wrong:
        raise ValueError(wrong)
    import re2

    found = re2.Set.SearchSet(_options())
    found.Add(pattern)
    found.Compile()
    match = found.Match
    return lambda text: bool(match(text))


@lru_cache(maxsize=4096)
def problem(pattern: str) -> str:
    """What Go's parser says of a pattern it does not take: ``error parsing regexp: missing closing ): `(` ``."""
    # It is 3 MiB: loaded with the first pattern.
    import re2

    try:
        re2.compile(pattern, _options())
    except re2.error as error:
        text = error.args[0]
        return _translated(text.decode() if isinstance(text, bytes) else str(text), pattern)
    return ""


def _options() -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    return options


def _translated(message: str, pattern: str) -> str:
    if message == _TRAILING:
        return _text("trailing backslash at end of expression", "")
    sentence, _, part = message.partition(": ")
    if sentence == "invalid perl operator" and pattern.startswith(_MOST_SPECIAL) and part == _MOST_SPECIAL:
        part = pattern
    return _text(_SENTENCES.get(sentence, sentence), part)


def _text(sentence: str, part: str) -> str:
    return f"error parsing regexp: {sentence}: `{part}`"
