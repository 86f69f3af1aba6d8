"""A patched object as the text that Go makes of it, for messages that quote it.

What a patch left alone is written as Go writes a struct: members in the order of their declaration. What it went into
was decoded on the way, so that its members come sorted; what it brought is as it was sent.
"""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.codec.types import Shape, TypeInfo
from knarr.api.semantics import go_dump

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def patched(info: TypeInfo, new: Any, old: Any, *, merged: bool) -> str:
    """The text of what a patch made of `old`, of which it shares what the patch left alone; `merged`: a merge patch."""
    shape = Shape("struct", info.go, struct=info.name)
    members = {key: _patched(_member(shape, key), new[key], old.get(key), merged=merged) for key in sorted(new)}
    text = orjson.dumps(members).decode()
    for char, escape in _ESCAPES.items():
        if char in text:
            text = text.replace(char, escape)
    return text


def _patched(shape: Shape | None, new: Any, old: Any, *, merged: bool) -> Any:
    if new is old:
        return declared(shape, new)
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: _patched(_member(shape, key), new[key], old.get(key), merged=merged) for key in sorted(new)}
    if merged:
        # Nulls were taken out of it: it was decoded, too.
        return new if isinstance(old, dict) else _sorted(new)
    if isinstance(new, list) and isinstance(old, list):
        known = {id(item): item for item in old}
        item = shape.item if shape is not None else None
        return [declared(item, one) if id(one) in known else one for one in new]
    return new


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _member(shape: Shape | None, key: str) -> Shape | None:
    if shape is None:
        return None
    if shape.kind == "struct":
        field = shape.info.fields.get(key)
        return None if field is None else field.shape
    return shape.item if shape.kind == "map" else None


def declared(shape: Shape | None, value: Any) -> Any:
    """The value with the members of its structs in Go's order, and those of its maps sorted."""
    if shape is None:
        return value
    if isinstance(value, list):
        return [declared(shape.item, item) for item in value] if shape.item is not None else value
    if not isinstance(value, dict):
        return value
    if shape.kind == "map":
        return {key: declared(shape.item, value[key]) for key in sorted(value)}
    if shape.kind != "struct":
        return value
    fields = go_dump.ordered(shape.info)
    return {field.name: declared(field.shape, value[field.name]) for field in fields if field.name in value}
