"""JSON values as Go prints them with `%v`, for the messages that show them this way."""

from __future__ import annotations

from typing import Any

from knarr.apimachinery.field import quote

_TYPES = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", int: "int64"}


def plain(value: Any) -> str:
    """`map[a:1 b:[x y]]`: keys sorted, strings without quotes."""
    if value is None:
        return "<nil>"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{plain(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(plain(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def type_name(value: Any) -> str:
    """The Go type a decoded JSON value has."""
    return "%!s(<nil>)" if value is None else _TYPES.get(type(value), "float64")


def sharp(value: Any) -> str:
    """As `%#v` prints it: `map[string]interface {}{"a":1}`."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, dict):
        return f"map[string]interface {{}}{{{', '.join(f'{sharp(key)}:{sharp(value[key])}' for key in sorted(value))}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(sharp(item) for item in value)}}}"
    if isinstance(value, str):
        return quote(value)
    return plain(value)
