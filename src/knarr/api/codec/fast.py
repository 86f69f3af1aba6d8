"""The quick way through the codec: a kind's types as msgspec structs, made from the tables when first asked for.

Input: a decoded body. Output: the canonical object. Whatever is not exactly right (a wrong type, an unknown field, a
null) raises `ValueError`, and the caller goes the exact way, which knows what to say of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import msgspec

from knarr.api.codec.types import NULL, ZERO, FieldInfo, Shape, TypeInfo, named
from knarr.api.codec.values import TIMES, quantity
from knarr.apimachinery.types import Object


class _Quantity(str):
    """The canonical text of a quantity."""

    __slots__ = ()


class _Time(str):
    """The canonical text of a `Time`."""

    __slots__ = ()


class _MicroTime(str):
    """The canonical text of a `MicroTime`."""

    __slots__ = ()


class _OptionalTime(_Time):
    """A `Time` that may be null, which is the same as none: clients of old send `creationTimestamp: null`."""

    __slots__ = ()


#: Left out on the way out, as it is the default.
_NO_TIME = _OptionalTime()
_INT32 = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]
_ANNOTATIONS: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "int32": _INT32,
    "int64": Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)],
    "bytes": bytes,
    "quantity": _Quantity,
    "time": _Time,
    "micro_time": _MicroTime,
    "int_or_string": _INT32 | str,
    "raw": Any,
}
_EMPTY: dict[str, Any] = {"string": "", "boolean": False, "int32": 0, "int64": 0, "bytes": b""}
_FACTORIES: dict[str, Any] = {"list": list, "map": dict}
_ZEROS: dict[str, Callable[[], Any]] = {
    "string": str,
    "boolean": bool,
    "int32": int,
    "int64": int,
    "int_or_string": int,
    "quantity": lambda: "0",
}


class Unsuited(Exception):
    """The type cannot be a msgspec struct: it contains itself, or a union only the exact way reads."""


def reader(info: TypeInfo) -> Callable[[Object], Object] | None:
    """A function from a decoded object to the canonical one, or `None` for a type that is not suited."""
    try:
        struct = _struct(info.name)
    except (Unsuited, RecursionError):
        return None

    def read(obj: Object) -> Object:
        value = msgspec.convert(obj, struct, dec_hook=_decoded)
        out: Object = msgspec.to_builtins(value, enc_hook=str)
        return out

    return read


def _decoded(wanted: type, value: Any) -> Any:
    if wanted is _OptionalTime and value is None:
        return _NO_TIME
    if wanted is _Quantity:
        if type(value) is not str and type(value) is not int:
            raise ValueError("the text of the number counts")
        return _Quantity(quantity(value))
    text = TIMES["micro_time" if wanted is _MicroTime else "time"](value)
    if text is None:
        raise ValueError("the zero time is null")
    return wanted(text)


@cache
def _struct(name: str) -> type[msgspec.Struct]:
    info = named(name)
    fields = [(f"f{at}", *_field(field)) for at, field in enumerate(info.fields.values())]
    return msgspec.defstruct(info.go_name, fields, omit_defaults=True, forbid_unknown_fields=True)


def _field(field: FieldInfo) -> tuple[Any, Any]:
    annotation = _annotation(field.shape)
    if field.empty == ZERO:
        return annotation, msgspec.field(name=field.name, default_factory=_zero(field.shape))
    if field.empty == NULL:
        if field.drops_zero:
            # An empty list is written as null: the exact way does it.
            annotation = Annotated[annotation, msgspec.Meta(min_length=1)]
        return annotation | None, msgspec.field(name=field.name, default_factory=_none)
    if field.shape.kind == "time":
        return _OptionalTime, msgspec.field(name=field.name, default=_NO_TIME)
    if not field.drops_zero:
        return annotation | msgspec.UnsetType, msgspec.field(name=field.name, default=msgspec.UNSET)
    if field.shape.kind in _FACTORIES:
        return annotation, msgspec.field(name=field.name, default_factory=_FACTORIES[field.shape.kind])
    return annotation, msgspec.field(name=field.name, default=_EMPTY[field.shape.kind])


def _annotation(shape: Shape) -> Any:
    if shape.kind == "struct":
        return _struct(shape.struct)
    if shape.item is not None:
        return _generic(shape.kind, _annotation(shape.item))
    if shape.kind not in _ANNOTATIONS:
        raise Unsuited(shape.kind)
    return _ANNOTATIONS[shape.kind]


def _generic(kind: str, item: Any) -> Any:
    return list.__class_getitem__(item) if kind == "list" else dict.__class_getitem__((str, item))


def _zero(shape: Shape) -> Callable[[], Any]:
    return _struct(shape.struct) if shape.kind == "struct" else _ZEROS[shape.kind]


def _none() -> None:
    return None
