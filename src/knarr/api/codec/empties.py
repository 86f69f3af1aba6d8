"""Empty lists and maps: there while a request is judged, gone from what is stored.

Go tells `[]` from an absent list while an object is defaulted, validated and shown in messages; its encoding does not,
and neither do canonical objects. `refill` puts back what decoding left out; `strip` takes it away again.
Input: a canonical object, changed in place, its type, and the body it came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.codec.types import NULL, FieldInfo, Shape, TypeInfo
from knarr.apimachinery.types import Object

#: Types with JSON names inside Kubernetes too: messages show them as they are written, without empty lists.
_TAGGED = frozenset({"meta.v1.LabelSelector", "meta.v1.LabelSelectorRequirement"})
_EMPTY: dict[str, tuple[type, Callable[[], Any]]] = {"list": (list, list), "map": (dict, dict), "bytes": (str, str)}


def refill(info: TypeInfo, obj: Object, body: Any) -> bool:
    """Put empty lists, maps and bytes of the body into the object made of it; whether there were any."""
    if not isinstance(body, dict) or info.name in _TAGGED:
        return False
    found = False
    for field in info.fields.values():
        given = body.get(field.name)
        if given is None:
            continue
        if not given and field.drops_zero:
            found |= _put(obj, field, given)
        elif isinstance(given, dict | list) and field.name in obj:
            found |= _below(field.shape, obj[field.name], given)
    return found


def _put(obj: Object, field: FieldInfo, given: Any) -> bool:
    known = _EMPTY.get(field.shape.kind)
    if known is None or not isinstance(given, known[0]) or obj.get(field.name):
        return False
    obj[field.name] = known[1]()
    return True


def _below(shape: Shape, value: Any, given: Any) -> bool:
    if shape.kind == "struct" and isinstance(value, dict):
        return refill(shape.info, value, given)
    if shape.item is None or shape.item.kind not in ("struct", "list", "map"):
        return False
    if isinstance(value, list) and isinstance(given, list) and len(value) == len(given):
        pairs = list(zip(value, given, strict=True))
    elif isinstance(value, dict) and isinstance(given, dict):
        pairs = [(item, given.get(key)) for key, item in value.items()]
    else:
        return False
    # Every item, not only up to the first that has any.
    return sum(_below(shape.item, *pair) for pair in pairs) > 0


def strip(info: TypeInfo, obj: Object, *, nulls: bool = True) -> None:
    """Take empty lists, maps and bytes out of an object, in place; `nulls`: also those that are written as null."""
    for field in info.fields.values():
        value = obj.get(field.name)
        if value is None:
            continue
        if not value and field.drops_zero and field.shape.kind in _EMPTY:
            if field.empty != NULL:
                del obj[field.name]
            elif nulls:
                obj[field.name] = None
        elif value and isinstance(value, dict | list):
            _strip_below(field.shape, value, nulls=nulls)


def _strip_below(shape: Shape, value: Any, *, nulls: bool) -> None:
    if shape.kind == "struct":
        strip(shape.info, value, nulls=nulls)
    elif shape.item is not None and shape.item.kind in ("struct", "list", "map"):
        for item in value.values() if isinstance(value, dict) else value:
            _strip_below(shape.item, item, nulls=nulls)
