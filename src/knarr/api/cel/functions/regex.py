"""Patterns: RE2's, which never backtrack (https://github.com/google/re2/wiki/Syntax)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import Library

library = Library()
#: RE2's words for what is wrong, and Go's.
_GO_WORDS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "trailing \\": "trailing backslash at end of expression",
}


@lru_cache(maxsize=256)
def pattern(text: str) -> Any:
    """A compiled pattern. Raises `EvaluationError` for a bad one."""
    # Loaded with the first pattern.
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise EvaluationError(f"error parsing regexp: {_worded(error)}") from None


def _worded(error: Exception) -> str:
    words = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
    what, colon, part = words.partition(": ")
    return f"{_GO_WORDS.get(what, what)}: `{part}`" if colon else words


@library.add("matches", str, str)
def _matches(text: str, wanted: str) -> bool:
    # Bytes are found in half the time.
    return pattern(wanted).search(text.encode()) is not None


@library.add("find", str, str)
def _find(text: str, wanted: str) -> str:
    found = pattern(wanted).search(text.encode())
    return "" if found is None else str(found[0].decode())


@library.add("findAll", str, str)
def _find_all(text: str, wanted: str) -> list[str]:
    return _find_some(text, wanted, -1)


@library.add("findAll", str, str, int)
def _find_some(text: str, wanted: str, count: int) -> list[str]:
    found: list[str] = []
    if count == 0:
        return found
    for match in pattern(wanted).finditer(text.encode()):
        found.append(match[0].decode())
        if len(found) == count:
            break
    return found
