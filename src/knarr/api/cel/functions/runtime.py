"""All functions that are called like functions."""

from __future__ import annotations

from functools import cache

from knarr.api.cel.functions import (
    authorizer,
    conversions,
    formats,
    lists,
    network,
    optionals,
    quantities,
    regex,
    semver,
    strings,
    text_format,
    urls,
)
from knarr.api.cel.functions.registry import Function, Library

_LIBRARIES = (
    *(conversions, strings, text_format, lists, optionals, regex, urls, quantities, network, semver, formats),
    authorizer,
)


@cache
def functions() -> dict[str, Function]:
    """Function by name."""
    found = Library()
    for module in _LIBRARIES:
        found.include(module.library)
    return found.functions
