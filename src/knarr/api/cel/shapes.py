"""Schemas of values that expressions are about.

A shape is a JSON schema (`properties`, `items`, `additionalProperties`), or None for a value of which nothing is known.
"""

from __future__ import annotations

from knarr.apimachinery.types import Object

_KEYWORDS = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"}
    | {"let", "loop", "package", "namespace", "return", "var", "void", "while"}
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def escaped(name: str) -> str:
    """A property's name as expressions write it."""
    if name in _KEYWORDS:
        return f"__{name}__"
    for text, replacement in _ESCAPES.items():
        name = name.replace(text, replacement)
    return name


def is_list(shape: Object | None) -> bool:
    """Whether it is the shape of a list."""
    return shape is not None and shape.get("type") == "array"


def element(shape: Object | None) -> Object | None:
    """The shape of a list's items or a map's values."""
    if shape is None:
        return None
    items, extra = shape.get("items"), shape.get("additionalProperties")
    found = items if isinstance(items, dict) else extra
    return found if isinstance(found, dict) else None
