"""Decoded maps as the structs of a kind, the way a strategic merge patch's result is read.

Input: any JSON value and the type it should be. Output: the value with what this way alone accepts put right (a whole
float for an integer, an integer that does not fit its type, null for an empty value). The first value that cannot be
had, in the order of the struct's fields, raises `ValueError` with Go's words, which differ from those of JSON decoding.
Source: k8s.io/apimachinery/pkg/runtime/converter.go.
"""

from __future__ import annotations

from typing import Any

from knarr.api.codec.types import SCALARS, Shape, TypeInfo
from knarr.api.codec.values import base64_text
from knarr.apimachinery.types import Object

_BITS = {"int32": 32, "int64": 64}
#: Go's kinds of what stands behind our scalars.
_NATIVE = {"string": str, "boolean": bool}


def restore(info: TypeInfo, value: Any) -> Object:
    """The object as a plain JSON decoder could have read it. Raises `ValueError`."""
    out: Object = _struct(Shape("struct", info.go, struct=info.name), value)
    return out


def _restored(shape: Shape, value: Any) -> Any:
    if shape.kind == "struct":
        return _struct(shape, value)
    if shape.kind in ("list", "map"):
        return _items(shape, value)
    if shape.kind == "bytes":
        return _bytes(value)
    return _scalar(shape, value) if shape.kind in SCALARS else value


def _struct(shape: Shape, value: Any) -> Object:
    if not isinstance(value, dict):
        raise ValueError(f"cannot restore struct from: {_kind(value)}")
    fields = shape.info.fields
    found = {name: _restored(field.shape, value[name]) for name, field in fields.items() if value.get(name) is not None}
    # Unknown members stay where they were, for strict decoding to complain of.
    return {name: found.get(name, item) for name, item in value.items() if item is not None or name not in fields}


def _items(shape: Shape, value: Any) -> Any:
    wanted = list if shape.kind == "list" else dict
    if not isinstance(value, wanted):
        raise ValueError(f"cannot restore {'slice' if wanted is list else 'map'} from {_kind(value)}")
    item = shape.item
    if item is None:
        return value
    if isinstance(value, list):
        return [None if one is None else _restored(item, one) for one in value]
    return {key: None if one is None else _restored(item, one) for key, one in value.items()}


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        if isinstance(value, list):
            return value
        raise ValueError(f"cannot restore slice from {_kind(value)}")
    try:
        return base64_text(value)
    except ValueError as fault:
        raise ValueError(f"error decoding from json: {fault}") from fault


def _scalar(shape: Shape, value: Any) -> Any:
    wanted = _NATIVE.get(shape.kind)
    if wanted is not None:
        if type(value) is wanted:
            return value
    elif type(value) is int:
        return _wrapped(value, shape.kind)
    elif type(value) is float:
        if shape.kind == "double":
            return value
        if not value.is_integer():
            raise ValueError(f"cannot convert float64 to {shape.go}")
        return _wrapped(int(value), shape.kind)
    if shape.kind == "string" and type(value) is int:
        raise ValueError(f"cannot convert int64 to {shape.go}")
    raise ValueError(f"unrecognized type: {SCALARS[shape.kind]}")


def _wrapped(value: int, kind: str) -> int:
    """An integer in a type of so many bits: the upper ones are lost."""
    bits = _BITS.get(kind)
    if bits is None:
        return value
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half


def _kind(value: Any) -> str:
    """Go's kind of a decoded JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return "slice" if isinstance(value, list) else "map"
