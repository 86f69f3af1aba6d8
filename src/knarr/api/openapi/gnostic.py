"""An OpenAPI v2 document as protobuf, which client-go asks for.

The messages are those of gnostic's `openapi.v2` package: each table maps a key of the document to the number of its
field and the form of its value. https://github.com/google/gnostic
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import yaml

from knarr.api.openapi.stream import Lazy

Encoder: TypeAlias = Callable[[Any], bytes]


def encode(document: Lazy) -> Iterator[bytes]:
    """The bytes of a `Document`, in pieces; empty ones while a large section is under way."""
    for key, value in document.pairs():
        if key in _SECTIONS:
            number, encoder = _SECTIONS[key]
            entries = []
            for name, each in value.pairs():
                entries.append(_pair(name, encoder(each), 2 if key == "paths" else 1))
                yield b""
            yield _varint(number << 3 | 2) + _varint(sum(map(len, entries)))
            yield from entries
        else:
            yield _DOCUMENT[key](value)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes_field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _text(number: int) -> Encoder:
    return lambda value: _bytes_field(number, str(value).encode())


def _texts(number: int) -> Encoder:
    return lambda value: b"".join(_bytes_field(number, each.encode()) for each in value)


def _flag(number: int) -> Encoder:
    return lambda value: _varint(number << 3) + b"\x01" if value else b""


def _part(number: int, encoder: Encoder) -> Encoder:
    return lambda value: _bytes_field(number, encoder(value))


def _parts(number: int, encoder: Encoder) -> Encoder:
    return lambda value: b"".join(_bytes_field(number, encoder(each)) for each in value)


def _named(number: int, encoder: Encoder) -> Encoder:
    """A map: repeated pairs of name (1) and value (2)."""
    return lambda value: b"".join(_pair(name, encoder(each), number) for name, each in value.items())


def _pair(name: str, value: bytes, number: int) -> bytes:
    return _bytes_field(number, _bytes_field(1, name.encode()) + _bytes_field(2, value))


def _message(table: Mapping[str, Encoder], value: Mapping[str, Any], extensions: int = 0) -> bytes:
    out = [table[key](each) for key, each in value.items() if key in table]
    if extensions:
        extra = {key: each for key, each in value.items() if key.startswith("x-")}
        out.append(_named(extensions, _any)(extra))
    return b"".join(out)


def _any(value: Any) -> bytes:
    """A free value, as YAML text."""
    return _bytes_field(2, yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)).encode())


def _schema(value: Mapping[str, Any]) -> bytes:
    return _message(_SCHEMA, value, 31)


def _type(value: str) -> bytes:
    return _bytes_field(1, value.encode())


def _inner_schema(value: Mapping[str, Any]) -> bytes:
    """`ItemsItem`, `AdditionalPropertiesItem` and `SchemaItem` have the schema in field 1."""
    return _bytes_field(1, _schema(value))


def _properties(value: Mapping[str, Any]) -> bytes:
    return _named(1, _schema)(value)


def _operation(value: Mapping[str, Any]) -> bytes:
    return _message(_OPERATION, value, 13)


def _path(value: Mapping[str, Any]) -> bytes:
    return _message(_PATH, value)


def _parameter(value: Mapping[str, Any]) -> bytes:
    """`ParametersItem`: a `Parameter`, or the reference to a shared one."""
    if "$ref" in value:
        return _bytes_field(2, _bytes_field(1, value["$ref"].encode()))
    return _bytes_field(1, _whole_parameter(value))


def _whole_parameter(value: Mapping[str, Any]) -> bytes:
    """`Parameter` → body, or one of the others by where it stands."""
    if value["in"] == "body":
        return _bytes_field(1, _message(_BODY, value))
    place, table = (4, _IN_PATH) if value["in"] == "path" else (3, _IN_QUERY)
    return _bytes_field(2, _bytes_field(place, _message(table, value)))


def _responses(value: Mapping[str, Any]) -> bytes:
    return _named(1, lambda each: _bytes_field(1, _message(_RESPONSE, each)))(value)


def _security(value: Sequence[Any]) -> bytes:
    return b"".join(_bytes_field(12, _named(1, _texts(1))(each)) for each in value)


def _api_key(value: Mapping[str, Any]) -> bytes:
    return _bytes_field(2, _message(_API_KEY, value))


_SCHEMA: dict[str, Encoder] = {
    "$ref": _text(1),
    "format": _text(2),
    "description": _text(4),
    "required": _texts(19),
    "additionalProperties": _part(21, _inner_schema),
    "type": _part(22, _type),
    "items": _part(23, _inner_schema),
    "properties": _part(25, _properties),
}
_BODY: dict[str, Encoder] = {"name": _text(2), "in": _text(3), "required": _flag(4), "schema": _part(5, _schema)}
_PARAMETER: dict[str, Encoder] = {"required": _flag(1), "in": _text(2), "description": _text(3), "name": _text(4)}
_IN_QUERY: dict[str, Encoder] = {**_PARAMETER, "type": _text(6), "uniqueItems": _flag(20)}
_IN_PATH: dict[str, Encoder] = {**_PARAMETER, "type": _text(5), "uniqueItems": _flag(19)}
_RESPONSE: dict[str, Encoder] = {"description": _text(1), "schema": _part(2, _inner_schema)}
_OPERATION: dict[str, Encoder] = {
    "tags": _texts(1),
    "description": _text(3),
    "operationId": _text(5),
    "produces": _texts(6),
    "consumes": _texts(7),
    "parameters": _parts(8, _parameter),
    "responses": _part(9, _responses),
    "schemes": _texts(10),
}
_PATH: dict[str, Encoder] = {
    "get": _part(2, _operation),
    "put": _part(3, _operation),
    "post": _part(4, _operation),
    "delete": _part(5, _operation),
    "options": _part(6, _operation),
    "head": _part(7, _operation),
    "patch": _part(8, _operation),
    "parameters": _parts(9, _parameter),
}
_INFO: dict[str, Encoder] = {"title": _text(1), "version": _text(2)}
_API_KEY: dict[str, Encoder] = {"type": _text(1), "name": _text(2), "in": _text(3), "description": _text(4)}
_DOCUMENT: dict[str, Encoder] = {
    "swagger": _text(1),
    "info": _part(2, lambda value: _message(_INFO, value)),
    "parameters": _part(10, lambda value: _named(1, _whole_parameter)(value)),
    "security": _security,
    "securityDefinitions": _part(13, lambda value: _named(1, _api_key)(value)),
}
#: The sections that are made entry by entry.
_SECTIONS: dict[str, tuple[int, Encoder]] = {"paths": (8, _path), "definitions": (9, _schema)}
