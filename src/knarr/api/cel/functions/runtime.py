"""All functions that are called like functions."""

from __future__ import annotations

from functools import cache

from knarr.api.cel.functions import conversions, optionals, regex, strings
from knarr.api.cel.functions.registry import Function, Library

_LIBRARIES = (conversions, strings, optionals, regex)


@cache
def functions() -> dict[str, Function]:
    """Function by name."""
    found = Library()
    for module in _LIBRARIES:
        found.include(module.library)
    return found.functions
