"""Expands `$(NAME)` in environment values, commands and arguments.

Input: a text and the values by name. Output: the text. `$$` stands for `$`; an unknown name stays as it is written.
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


class MissingValues(ValueError):
    """A text refers to names that have no value."""


def expand(text: str, *values: Mapping[str, str]) -> str:
    """The text with its references replaced; the first mapping that knows a name decides."""
    if "$" not in text:
        return text

    def lookup(name: str) -> str:
        return next((known[name] for known in values if name in known), f"$({name})")

    return _replace(text, lookup)


def expand_all(texts: Iterable[str] | None, *values: Mapping[str, str]) -> list[str]:
    """A command or its arguments, expanded one by one."""
    return [expand(text, *values) for text in texts or ()]


def expand_strictly(text: str, values: Mapping[str, str]) -> str:
    """As `expand`, for `subPathExpr`: raises `MissingValues` for names that are unknown or empty."""
    missing = set()

    def lookup(name: str) -> str:
        value = values.get(name, "")
        if not value:
            missing.add(name)
        return value

    expanded = _replace(text, lookup)
    if missing:
        raise MissingValues("missing value for " + ", ".join(sorted(missing)))
    return expanded


def _replace(text: str, lookup: Callable[[str], str]) -> str:
    return _REFERENCE.sub(lambda match: "$" if match[1] is None else lookup(match[1]), text)
