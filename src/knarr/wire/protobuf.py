"""Protobuf messages by tables: field numbers, wire types, and nothing of what they mean.

Reading: bytes and a `Message` in, plain Python values out; writing: the other way round. Raises `ValueError` for what
is malformed.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 200


class Field(NamedTuple):
    """One field of a message.

    `name` is empty for a struct whose fields belong to the message itself. `label` is `optional`, `repeated` or `map`;
    `type` a scalar's name or, for a message, empty with `message` to find it by; a map's is that of its values.
    """

    name: str
    label: str
    type: str
    message: Callable[[], Message] | None = None


class Message(NamedTuple):
    """A message type: its fields by number, and what turns its values into something else (a time, a quantity)."""

    fields: Mapping[int, Field]
    finish: Callable[[dict[str, Any]], Any] | None = None
    #: The way back of `finish`.
    start: Callable[[Any], Mapping[str, Any]] | None = None
    #: Fields that are written even where the value has none, with their zeros.
    always: Mapping[str, Any] = {}


def decode(data: bytes, message: Message, depth: int = 0) -> Any:
    """The values of a message as a dict by field name, or what its `finish` makes of them."""
    if depth > _MAX_DEPTH:
        raise ValueError("message is nested too deeply")
    out: dict[str, Any] = {}
    for number, wire, value in fields(data):
        field = message.fields.get(number)
        if field is not None:
            _take(out, field, wire, value, depth)
    return message.finish(out) if message.finish is not None else out


def _take(out: dict[str, Any], field: Field, wire: int, value: Any, depth: int) -> None:
    if field.label == "map":
        key, item = _entry(value, field, depth)
        out.setdefault(field.name, {})[key] = item
    elif field.label == "repeated":
        items = out.setdefault(field.name, [])
        if wire == _BYTES and field.type in _NUMBERS:
            items += _packed(value, field.type)
        else:
            items.append(_value(field, wire, value, depth))
    elif not field.name:
        out.update(_value(field, wire, value, depth))
    else:
        out[field.name] = _value(field, wire, value, depth)


def _entry(data: Any, field: Field, depth: int) -> tuple[str, Any]:
    if not isinstance(data, bytes):
        raise ValueError("a map's entry is no message")
    key, item = "", _zero(field, depth)
    for number, wire, value in fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            item = _value(field, wire, value, depth)
    return key, item


def _zero(field: Field, depth: int) -> Any:
    if field.message is not None:
        return decode(b"", field.message(), depth + 1)
    return {"string": "", "bytes": b"", "bool": False}.get(field.type, 0)


def _value(field: Field, wire: int, value: Any, depth: int) -> Any:
    if field.message is not None:
        if not isinstance(value, bytes):
            raise ValueError(f"field {field.name!r} is no message")
        return decode(value, field.message(), depth + 1)
    return _scalar(field.type, wire, value)


def _scalar(kind: str, wire: int, value: Any) -> Any:
    if kind == "string":
        return _text(value)
    if kind == "bytes":
        if not isinstance(value, bytes):
            raise ValueError("bytes expected")
        return value
    if wire == _BYTES:
        raise ValueError(f"{kind} expected")
    if kind == "bool":
        return bool(value)
    if kind == "double":
        number: float = struct.unpack("<d", struct.pack("<Q", value))[0]
        return number
    return _signed(value, 32 if kind == "int32" else 64)


_NUMBERS = frozenset({"int32", "int64", "bool", "double"})


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        raise ValueError("text expected")
    return value.decode("utf-8", "replace")


def _packed(data: bytes, kind: str) -> list[Any]:
    at, out = 0, []
    while at < len(data):
        if kind == "double":
            value = int.from_bytes(data[at : at + 8], "little")
            at += 8
        else:
            value, at = _varint(data, at)
        out.append(_scalar(kind, _VARINT, value))
    return out


def fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """The fields of a message as they come: number, wire type, and the number or bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, wire, value
        elif wire == _BYTES:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("unexpected EOF")
            yield tag >> 3, wire, data[at : at + size]
            at += size
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            if at + size > end:
                raise ValueError("unexpected EOF")
            yield tag >> 3, wire, int.from_bytes(data[at : at + size], "little")
            at += size
        else:
            raise ValueError(f"proto: illegal wireType {wire}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("proto: integer overflow")


def encode(value: Any, message: Message) -> bytes:
    """The bytes of a message; members it has no field for are left out. Raises `ValueError` for wrong types."""
    found = message.start(value) if message.start is not None else value
    if not isinstance(found, Mapping):
        raise ValueError("an object expected")
    out = bytearray()
    for number, field in sorted(message.fields.items()):
        if not field.name and field.message is not None:
            if inline := encode(found, field.message()):
                _put_bytes(out, number, inline)
            continue
        item = found.get(field.name, message.always.get(field.name))
        if item is not None:
            _put_field(out, number, field, item)
    return bytes(out)


def _put_field(out: bytearray, number: int, field: Field, item: Any) -> None:
    if field.label == "repeated":
        for each in item:
            _put(out, number, field, each)
    elif field.label == "map":
        for key, each in item.items():
            entry = bytearray()
            _put_bytes(entry, 1, key.encode())
            if each is not None:
                _put(entry, 2, field, each)
            _put_bytes(out, number, bytes(entry))
    else:
        _put(out, number, field, item)


def _put(out: bytearray, number: int, field: Field, item: Any) -> None:
    if field.message is not None:
        _put_bytes(out, number, encode(item, field.message()))
    elif field.type == "string":
        _put_bytes(out, number, str(item).encode("utf-8", "replace"))
    elif field.type == "bytes":
        # JSON has them in base64.
        _put_bytes(out, number, base64.b64decode(item) if isinstance(item, str) else item)
    elif field.type == "double":
        out += _as_varint(number << 3 | _FIXED64) + struct.pack("<d", float(item))
    else:
        out += _as_varint(number << 3 | _VARINT) + _as_varint(int(item) & _ALL_BITS)


_ALL_BITS = (1 << 64) - 1


def _put_bytes(out: bytearray, number: int, data: bytes) -> None:
    out += _as_varint(number << 3 | _BYTES)
    out += _as_varint(len(data))
    out += data


def _as_varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
