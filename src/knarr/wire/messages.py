"""A table-driven codec for protobuf messages, as plain dicts.

Input: a table in text form, one message a line (see `cri/messages.py`). Output: `encode` and `decode` between dicts and
the wire format. Unknown fields are skipped. A decoded dict has every scalar, list and map of its message; an absent
sub-message has no key, so that presence can be told.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import Any, NamedTuple

Message = dict[str, Any]

_SCALARS = {"s": "", "y": b"", "i": 0, "b": False}


class _Field(NamedTuple):
    name: str
    number: int
    #: One of `s` string, `y` bytes, `i` varint, `b` bool, `%` map of strings, or a message's name.
    type: str
    repeated: bool


class CodecError(ValueError):
    """Bytes that are no message."""


class Codec:
    """Encodes and decodes the messages of one table."""

    def __init__(self, table: str) -> None:
        self._by_name: dict[str, dict[str, _Field]] = {}
        self._by_number: dict[str, dict[int, _Field]] = {}
        for line in table.strip().splitlines():
            if line.strip():
                self._add(line)

    def _add(self, line: str) -> None:
        message, _, rest = line.partition(":")
        fields: dict[str, _Field] = {}
        for part in rest.split():
            name, number, kind = part.split("=")
            fields[name] = _Field(name, int(number), kind.removeprefix("*"), kind.startswith("*"))
        self._by_name[message.strip()] = fields
        self._by_number[message.strip()] = {field.number: field for field in fields.values()}

    def encode(self, message: str, value: Message) -> bytes:
        """The wire form of a dict. Zero values and `None` are left out. Raises `KeyError` for an unknown field."""
        out = bytearray()
        fields = self._by_name[message]
        for name, item in value.items():
            field = fields[name]
            if item is None:
                continue
            for one in item if field.repeated else (item,):
                self._encode_one(out, field, one)
        return bytes(out)

    def _encode_one(self, out: bytearray, field: _Field, item: Any) -> None:
        kind = field.type
        if kind in ("i", "b"):
            if item or field.repeated:
                _varint(out, field.number << 3)
                _varint(out, int(item))
            return
        if kind == "%":
            for key, text in item.items():
                pair = bytearray()
                _bytes(pair, 1, key.encode())
                _bytes(pair, 2, text.encode())
                _bytes(out, field.number, pair)
            return
        if kind in ("s", "y"):
            data = item.encode() if isinstance(item, str) else item
            if data or field.repeated:
                _bytes(out, field.number, data)
            return
        _bytes(out, field.number, self.encode(kind, item))

    def decode(self, message: str, data: bytes) -> Message:
        """A dict from the wire form. Raises `CodecError`."""
        try:
            return self._decode(message, data, 0, len(data))
        except (IndexError, UnicodeDecodeError) as error:
            raise CodecError(f"no {message}: {error}") from error

    def _decode(self, message: str, data: bytes, at: int, end: int) -> Message:
        fields = self._by_number[message]
        out = self._empty(fields)
        while at < end:
            key, at = _read_varint(data, at)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, at = _read_varint(data, at)
                if (known := fields.get(number)) is not None:
                    _store(out, known, _signed(known, value))
            elif wire == 2:
                size, at = _read_varint(data, at)
                if at + size > end:
                    raise CodecError(f"truncated {message}")
                if (known := fields.get(number)) is not None:
                    self._decode_bytes(out, known, data, at, at + size)
                at += size
            else:
                at = _skip(wire, at)
        return out

    def _empty(self, fields: dict[int, _Field]) -> Message:
        out: Message = {}
        for field in fields.values():
            if field.repeated:
                out[field.name] = []
            elif field.type == "%":
                out[field.name] = {}
            elif field.type in _SCALARS:
                out[field.name] = _SCALARS[field.type]
        return out

    def _decode_bytes(self, out: Message, field: _Field, data: bytes, at: int, end: int) -> None:
        kind = field.type
        if kind == "s":
            _store(out, field, data[at:end].decode())
        elif kind == "y":
            _store(out, field, data[at:end])
        elif kind == "%":
            pair = self._pair(data, at, end)
            out[field.name][pair[0]] = pair[1]
        elif kind in ("i", "b"):
            while at < end:
                value, at = _read_varint(data, at)
                _store(out, field, _signed(field, value))
        else:
            _store(out, field, self._decode(kind, data, at, end))

    def _pair(self, data: bytes, at: int, end: int) -> tuple[str, str]:
        parts = {1: "", 2: ""}
        while at < end:
            key, at = _read_varint(data, at)
            size, at = _read_varint(data, at)
            parts[key >> 3] = data[at : at + size].decode()
            at += size
        return parts[1], parts[2]


def _store(out: Message, field: _Field, value: Any) -> None:
    if field.repeated:
        out[field.name].append(value)
    else:
        out[field.name] = value


def _signed(field: _Field, value: int) -> int | bool:
    if field.type == "b":
        return bool(value)
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(out: bytearray, value: int) -> None:
    if value < 0:
        value += 1 << 64
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def _bytes(out: bytearray, number: int, data: bytes | bytearray) -> None:
    _varint(out, (number << 3) | 2)
    _varint(out, len(data))
    out += data


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return byte, at
    value = byte & 0x7F
    shift = 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise CodecError("varint is too long")


def _skip(wire: int, at: int) -> int:
    if wire == 1:
        return at + 8
    if wire == 5:
        return at + 4
    raise CodecError(f"wire type {wire}")
