"""Conversions between types, and the parts of times."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from knarr.api.cel import operators, times
from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import ANY, Library
from knarr.api.cel.values import Duration, Timestamp, TypeValue, Uint, type_name
from knarr.api.cel.work import spend

library = Library()
#: No number of 64 bits is written longer, zeros before it aside.
_LONGEST = 1000
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FLOAT = re.compile(
    r"[+-]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity)|nan", re.I | re.ASCII
)
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


def _failed(kind: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from 'string' to '{kind}'")


for _name, _kinds in {
    "bool": bool,
    "bytes": bytes,
    "double": float,
    "duration": Duration,
    "int": int,
    "string": str,
    "timestamp": Timestamp,
    "uint": Uint,
}.items():
    library.add(_name, _kinds)(lambda value: value)


@library.add("dyn", ANY)
def _dyn(value: Any) -> Any:
    return value


@library.add("type", ANY)
def _type(value: Any) -> TypeValue:
    return TypeValue(type_name(value))


@library.add("bool", str)
def _bool(text: str) -> bool:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _failed("bool")


@library.add("bytes", str)
def _bytes(text: str) -> bytes:
    return text.encode()


@library.add("double", int)
@library.add("double", Uint)
def _double(value: int) -> float:
    return float(value)


@library.add("double", str)
def read_double(text: str) -> float:
    """A number as text."""
    spend(len(text))
    if _FLOAT.fullmatch(text) is None or "_" in text:
        raise _failed("double")
    value = float(text)
    if math.isinf(value) and "inf" not in text.lower():
        raise _failed("double")
    return value


@library.add("int", Uint)
def _signed(value: int) -> int:
    if value >= 2**63:
        raise EvaluationError("integer overflow")
    return int(value)


@library.add("int", float)
def _truncated(value: float) -> int:
    if not -(2.0**63) < value < 2.0**63:
        raise EvaluationError("integer overflow")
    return int(value)


@library.add("int", str)
def _int(text: str) -> int:
    if len(text) > _LONGEST or _INTEGER.fullmatch(text) is None or not -(2**63) <= int(text) < 2**63:
        raise _failed("int")
    return int(text)


@library.add("int", Timestamp)
def _unix(value: int) -> int:
    return int(value) // times.SECOND


@library.add("int", Duration)
def _nanoseconds(value: int) -> int:
    return int(value)


@library.add("uint", int)
def _unsigned(value: int) -> Uint:
    if value < 0:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


@library.add("uint", float)
def _unsigned_truncated(value: float) -> Uint:
    if not 0 <= value < 2.0**64:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


@library.add("uint", str)
def _uint(text: str) -> Uint:
    if len(text) > _LONGEST or not text.isascii() or not text.isdigit() or int(text) >= 2**64:
        raise _failed("uint")
    return Uint(text)


@library.add("duration", int)
def _duration(value: int) -> Duration:
    return Duration(value)


@library.add("duration", str)
def _read_duration(text: str) -> Duration:
    found = times.read_duration(text)
    if found is None:
        raise _failed("google.protobuf.Duration")
    return found


@library.add("timestamp", int)
def _timestamp(value: int) -> Timestamp:
    return operators.timestamp(value * times.SECOND)


@library.add("timestamp", str)
def _read_timestamp(text: str) -> Timestamp:
    found = times.read_timestamp(text)
    if found is None:
        raise _failed("google.protobuf.Timestamp")
    return found


@library.add("string", bool)
def _bool_text(value: bool) -> str:  # noqa: FBT001 - a value
    return "true" if value else "false"


@library.add("string", int)
@library.add("string", Uint)
def _int_text(value: int) -> str:
    return str(int(value))


@library.add("string", float)
def double_text(value: float) -> str:
    """A number as Go writes it: as short as can be, with an exponent from a million or a few zeros on."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, point = decimal_parts(value)
    if -4 <= point - 1 < 6:
        return sign + plain_digits(digits, point)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    exponent = point - 1
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def decimal_parts(value: float) -> tuple[str, str, int]:
    """Sign, digits, and after how many of them the point stands, of the shortest text that reads as the number."""
    text = repr(abs(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + ("" if fraction == "0" else fraction)
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    return ("-" if math.copysign(1, value) < 0 else ""), stripped or "0", point if stripped else 1


def plain_digits(digits: str, point: int) -> str:
    """Digits without an exponent."""
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


@library.add("string", bytes)
def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from error


@library.add("string", Timestamp)
def _timestamp_text(value: Timestamp) -> str:
    return times.timestamp_text(value)


@library.add("string", Duration)
def _duration_text(value: int) -> str:
    return times.duration_text(int(value))


_PARTS: dict[str, Callable[[Any], int]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDate": lambda at: at.day,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
}


def _add_part(name: str, part: Callable[[Any], int]) -> None:
    library.add(name, Timestamp)(lambda value: part(times.local(int(value))))
    library.add(name, Timestamp, str)(lambda value, zone: part(times.local(int(value), zone)))


for _name, _part in _PARTS.items():
    _add_part(_name, _part)


@library.add("getMilliseconds", Timestamp)
def _milliseconds(value: int) -> int:
    return int(value) % times.SECOND // 10**6


@library.add("getMilliseconds", Timestamp, str)
def _milliseconds_there(value: int, zone: str) -> int:
    times.local(int(value), zone)
    return _milliseconds(value)


def _add_whole(name: str, size: int) -> None:
    library.add(name, Duration)(lambda value: _whole(value, size))


def _whole(value: int, size: int) -> int:
    found = abs(int(value)) // size
    return -found if value < 0 else found


for _name, _size in (("getHours", 3600 * 10**9), ("getMinutes", 60 * 10**9), ("getSeconds", 10**9)):
    _add_whole(_name, _size)
_add_whole("getMilliseconds", 10**6)
