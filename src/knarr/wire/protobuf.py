"""Protobuf messages by tables: field numbers, wire types, and nothing of what they mean.

Reading: bytes and a `Message` in, plain Python values out; writing: the other way round (`protobuf_writing`). Raises
`ValueError` for what is malformed.
Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import base64
import struct
from typing import Any

from knarr.wire.protobuf_tables import BYTES, FIXED32, FIXED64, VARINT, Field, Message, Reader

_MAX_DEPTH = 200
_ONE, _MANY, _ENTRIES, _INLINE, _PACKED = range(5)
_PLACES = {"optional": _ONE, "required": _ONE, "repeated": _MANY, "map": _ENTRIES, "": _INLINE}
_NUMBERS = frozenset({"int32", "int64", "bool", "double"})


def _readers(message: Message) -> dict[int, Reader]:
    """How each field is read, by its tag; a list of numbers has two."""
    found = {}
    for number, field in message.fields.items():
        found[number << 3 | _wire(field)] = Reader(_PLACES[field.label if field.name else ""], field)
        if field.label == "repeated" and field.type in _NUMBERS:
            found[number << 3 | BYTES] = Reader(_PACKED, field)
    message.readers = found
    return found


def _wire(field: Field) -> int:
    if field.label == "map" or field.message is not None or field.type not in _NUMBERS:
        return BYTES
    return FIXED64 if field.type == "double" else VARINT


def decode(data: bytes, message: Message) -> Any:
    """The values of a message as a dict by field name, or what its `finish` makes of them."""
    try:
        return _read(data, 0, len(data), message, 0)
    except IndexError as error:
        raise ValueError("unexpected EOF") from error


def _read(data: bytes, at: int, end: int, message: Message, depth: int) -> Any:  # noqa: C901, PLR0912 - the hot loop
    """One message. Calls cost more than all else here, so that the usual is written out."""
    if depth > _MAX_DEPTH:
        raise ValueError("message is nested too deeply")
    out: dict[str, Any] = {}
    readers = message.readers or _readers(message)
    while at < end:
        tag = data[at]
        at += 1
        if tag > 0x7F:
            tag, at = _varint(data, at - 1)
        wire = tag & 7
        stop = at
        if wire == BYTES:
            stop = data[at]
            at += 1
            if stop > 0x7F:
                stop, at = _varint(data, at - 1)
            stop += at
        elif wire == VARINT:
            stop = at + 1 if data[at] < 0x80 else _varint(data, at)[1]
        else:
            stop = at + _size(wire)
        if stop > end:
            raise ValueError("unexpected EOF")
        found = readers.get(tag)
        if found is None:
            _check_unknown(message, tag)
        else:
            place, field = found
            if place == _ONE:
                out[field.name] = (
                    data[at:stop].decode("utf-8", "replace")
                    if field.type == "string"
                    else _value(data, at, stop, field, depth)
                )
            elif place == _MANY:
                item = _value(data, at, stop, field, depth)
                if field.name in out:
                    out[field.name].append(item)
                else:
                    out[field.name] = [item]
            else:
                _gather(out, data, at, stop, found, depth)
        at = stop
    return message.finish(out) if message.finish is not None else out


def _size(wire: int) -> int:
    if wire == FIXED64:
        return 8
    if wire == FIXED32:
        return 4
    raise ValueError(f"proto: illegal wireType {wire}")


def _check_unknown(message: Message, tag: int) -> None:
    """Fields that are not known are skipped; those that are of another type are not. Raises `ValueError`."""
    field = message.fields.get(tag >> 3)
    if field is not None:
        raise ValueError(f"proto: wrong wireType = {tag & 7} for field {field.name}")


def _gather(out: dict[str, Any], data: bytes, at: int, stop: int, found: Reader, depth: int) -> None:  # noqa: PLR0913
    """A value that does not come alone."""
    place, field = found
    if place == _ENTRIES:
        key, item = _entry(data, at, stop, field, depth)
        out.setdefault(field.name, {})[key] = item
    elif place == _INLINE:
        out.update(_value(data, at, stop, field, depth))
    else:
        items = out.setdefault(field.name, [])
        while at < stop:
            following = at + 8 if field.type == "double" else _varint(data, at)[1]
            items.append(_value(data, at, following, field, depth))
            at = following


def _value(data: bytes, at: int, stop: int, field: Field, depth: int) -> Any:
    if field.message is not None:
        return _read(data, at, stop, field.message(), depth + 1)
    kind = field.type
    if kind == "string":
        return data[at:stop].decode("utf-8", "replace")
    if kind == "bytes":
        return data[at:stop]
    if kind == "base64":
        return base64.b64encode(data[at:stop]).decode()
    if kind == "double":
        return struct.unpack("<d", data[at:stop])[0]
    number = data[at] if stop == at + 1 else _varint(data, at)[0]
    if kind == "bool":
        return bool(number)
    return number if number < _SMALL else _signed(number, 32 if kind == "int32" else 64)


_SMALL = 1 << 31


def _entry(data: bytes, at: int, stop: int, field: Field, depth: int) -> tuple[str, Any]:
    """A map's entry is a message of key and value, either of which may be missing."""
    value = Field("value", "optional", field.type, field.message)
    found = _read(data, at, stop, _entry_message(value), depth + 1)
    if "value" in found:
        item = found["value"]
    elif field.message is not None:
        item = _read(b"", 0, 0, field.message(), depth + 1)
    else:
        item = {"string": "", "base64": "", "bytes": b"", "bool": False}.get(field.type, 0)
    return found.get("key", ""), item


_KEY = Field("key", "optional", "string")
_ENTRY_MESSAGES: dict[Field, Message] = {}


def _entry_message(value: Field) -> Message:
    found = _ENTRY_MESSAGES.get(value)
    if found is None:
        found = _ENTRY_MESSAGES[value] = Message({1: _KEY, 2: value})
    return found


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("proto: integer overflow")
