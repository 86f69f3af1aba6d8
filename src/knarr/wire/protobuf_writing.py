"""Writing protobuf messages by tables: each field has a function that makes its bytes, made when it is first needed.

What is written is in the order of the fields' numbers, as Go writes it.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from knarr.wire.protobuf_tables import BYTES, FIXED64, VARINT, Field, Message, Write, Writer

_ALL_BITS = (1 << 64) - 1
_MOST_ORDERS, _MOST_SCALARS = 256, 1024


def encode(value: Any, message: Message) -> bytes:
    """The bytes of a message; members it has no field for are left out. Raises `ValueError` for wrong types."""
    try:
        return _encode(value, message)
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _encode(value: Any, message: Message) -> bytes:
    if message.start is not None:
        value = message.start(value)
    if type(value) is not dict and not isinstance(value, Mapping):
        raise ValueError("an object expected")
    if message.extra:
        return _with_extra(value, message)
    names = tuple(value)
    order = message.orders.get(names)
    if order is None:
        order = _order(message, names)
    return b"".join([write(item) for name, write in order if (item := value[name]) is not None])


def _order(message: Message, names: tuple[str, ...]) -> list[tuple[str, Write]]:
    """The fields that a value with these members has, in their order; kept, as most values look like others."""
    writers = message.writers or _writers(message)
    known = sorted((writers[name].number, name) for name in names if name in writers)
    order = [(name, writers[name].write) for _, name in known]
    if len(message.orders) >= _MOST_ORDERS:
        message.orders.clear()
    message.orders[names] = order
    return order


def _with_extra(value: Mapping[str, Any], message: Message) -> bytes:
    """The bytes of a message that has more than its value shows: zeros that are written, a struct inside."""
    parts = {}
    for name, (number, write) in (message.writers or _writers(message)).items():
        item = value if not name else value.get(name)
        item = message.always.get(name) if item is None else item
        if item is not None:
            parts[number] = write(item)
    return b"".join([parts[number] for number in sorted(parts)])


def _writers(message: Message) -> dict[str, Writer]:
    """How the fields of a message are written, by name; under the empty name those that are part of it."""
    message.writers = {field.name: Writer(number, _write(number, field)) for number, field in message.fields.items()}
    return message.writers


def _write(number: int, field: Field) -> Write:
    if not field.name:
        return _inline(number, field)
    if field.label == "map":
        return _map(number, field)
    one = _one(number, field)
    if field.label == "repeated":
        return lambda items: b"".join([one(item) for item in items])
    return one


def _inline(number: int, field: Field) -> Write:
    """The struct's part of the outer message's values; nothing when there is none."""
    inner = _contents(field)
    tag = varint(number << 3 | BYTES)

    def write(found: Any) -> bytes:
        data = inner(found)
        return tag + varint(len(data)) + data if data else b""

    return write


def _map(number: int, field: Field) -> Write:
    tag, value = varint(number << 3 | BYTES), _one(2, field)

    def write(items: Any) -> bytes:
        out = []
        for key, item in items.items():
            name = key.encode()
            entry = b"\x0a" + varint(len(name)) + name + (value(item) if item is not None else b"")
            out.append(tag + varint(len(entry)) + entry)
        return b"".join(out)

    return write


def _one(number: int, field: Field) -> Write:
    if field.type == "double":
        head = varint(number << 3 | FIXED64)
        return lambda item: head + struct.pack("<d", float(item))
    if field.message is None and field.type not in _CONTENTS:
        tag = varint(number << 3 | VARINT)
        return lambda item: tag + varint(int(item) & _ALL_BITS)
    return _delimited(varint(number << 3 | BYTES), field)


def _delimited(tag: bytes, field: Field) -> Write:
    """What has its length before it. Text and messages are most of all there is: each a call less."""
    if field.type == "string":
        heads = [tag + size for size in _SMALL]

        def write_text(item: Any) -> bytes:
            data = item.encode() if type(item) is str and item.isascii() else _text(item)
            size = len(data)
            return heads[size] + data if size < 0x80 else tag + varint(size) + data

        return write_text
    if (find := field.message) is not None:

        def write_message(item: Any) -> bytes:
            data = _encode(item, find())
            size = len(data)
            return tag + (_SMALL[size] if size < 0x80 else varint(size)) + data

        # Of times and quantities there are few that differ.
        return lru_cache(_MOST_SCALARS)(write_message) if find().scalar else write_message
    contents = _contents(field)

    def write(item: Any) -> bytes:
        data = contents(item)
        return tag + varint(len(data)) + data

    return write


def _contents(field: Field) -> Write:
    if field.message is None:
        return _CONTENTS[field.type]
    find = field.message
    return lambda item: _encode(item, find())


def _text(item: Any) -> bytes:
    return (item if isinstance(item, str) else str(item)).encode("utf-8", "replace")


_CONTENTS: Mapping[str, Write] = {"string": _text, "bytes": bytes, "base64": base64.b64decode}


def varint(value: int) -> bytes:
    """A number in as few bytes as it needs."""
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes((number,)) for number in range(0x80)]
