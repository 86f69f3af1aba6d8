"""Values that are more than plain JSON: quantities, times, base64. Each function gives the canonical text.

They raise `ValueError` with the text Go's decoders give.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from knarr.apimachinery import quantity as quantities

_SECONDS = "2006-01-02T15:04:05Z07:00"
_MICROSECONDS = "2006-01-02T15:04:05.000000Z07:00"


@lru_cache(maxsize=8192)
def quantity(value: str | int | float) -> str:
    """`500m` for `0.5`."""
    return str(quantities.from_json(value))


def time(text: str) -> str | None:
    """RFC 3339 in UTC, whole seconds; `None` for Go's zero time."""
    if _is_canonical(text, _CANONICAL):
        return text
    moment = _moment(text, _SECONDS)
    return None if moment.year == 1 and moment == _ZERO else moment.isoformat(timespec="seconds")[:-6] + "Z"


def micro_time(text: str) -> str | None:
    """RFC 3339 in UTC, six digits of a second; `None` for Go's zero time."""
    if _is_canonical(text, _CANONICAL_MICRO):
        return text
    moment = _moment(text, _MICROSECONDS)
    return None if moment.year == 1 and moment == _ZERO else moment.isoformat(timespec="microseconds")[:-6] + "Z"


_ZERO = datetime(1, 1, 1, tzinfo=UTC)
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_CANONICAL_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def _is_canonical(text: str, form: re.Pattern[str]) -> bool:
    """Whether the text is a real moment, written as it is written out."""
    if form.fullmatch(text) is None or text.startswith("0001-01-01T00:00:00"):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


#: The parts of a layout in order: its text in messages, what it matches, and the separator after it.
_DATE: tuple[tuple[str, str], ...] = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d"),
)
_ZONE = ("Z07:00", r"Z|[+-]\d\d:\d\d")
_LIMITS = {
    "01": (1, 12, "month"),
    "02": (1, 31, "day"),
    "15": (0, 23, "hour"),
    "04": (0, 59, "minute"),
    "05": (0, 59, "second"),
}


def _moment(text: str, layout: str) -> datetime:
    parts = _split(text, layout)
    zone: timezone = UTC
    if parts["Z07:00"] != "Z":
        sign = -1 if parts["Z07:00"][0] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(parts["Z07:00"][1:3]), minutes=int(parts["Z07:00"][4:])))
    year, month, day, hour, minute, second = (int(parts[name]) for name in ("2006", "01", "02", "15", "04", "05"))
    fraction = int(parts[".000000"][:6].ljust(6, "0"))
    try:
        return datetime(year, month, day, hour, minute, second, fraction, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f'parsing time "{text}": day out of range') from None


def _split(text: str, layout: str) -> dict[str, str]:
    found: dict[str, str] = {".000000": "0"}
    rest = text
    for name, pattern in _DATE:
        rest = _take(text, layout, rest, name, pattern, found)
        if name in _LIMITS:
            low, high, what = _LIMITS[name]
            if not low <= int(found[name]) <= high:
                raise ValueError(f'parsing time "{text}": {what} out of range')
    if layout is _MICROSECONDS:
        rest = _take(text, layout, rest, ".000000", r"[.,]\d{6}(?!\d)", found)
    else:
        match = re.match(r"[.,]\d+", rest)
        if match:
            found[".000000"], rest = match[0], rest[match.end() :]
    found[".000000"] = found[".000000"].lstrip(".,")
    rest = _take(text, layout, rest, *_ZONE, found)
    if rest:
        raise ValueError(f'parsing time "{text}": extra text: "{rest}"')
    return found


def _take(text: str, layout: str, rest: str, name: str, pattern: str, found: dict[str, str]) -> str:
    match = re.match(pattern, rest, re.ASCII)
    if match is None:
        raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{name}"')
    found[name] = match[0]
    return rest[match.end() :]


def base64_text(text: str) -> str:
    """The same bytes in canonical base64."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (binascii.Error, ValueError):
        return base64.b64encode(_decoded(text)).decode()


_ALPHABET = {char: at for at, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}


def _decoded(text: str) -> bytes:
    """Decode as Go does: line ends are skipped; a fault names its byte."""
    out = bytearray()
    at = 0
    while True:
        digits: list[int] = []
        while len(digits) < 4:
            if at == len(text):
                if digits:
                    raise _corrupt(at - len(digits))
                return bytes(out)
            char = text[at]
            at += 1
            if char in _ALPHABET:
                digits.append(_ALPHABET[char])
            elif char == "=":
                _check_padding(text, at, len(digits))
                return bytes(out + _bytes_of(digits))
            elif char not in "\r\n":
                raise _corrupt(at - 1)
        out += _bytes_of(digits)


def _bytes_of(digits: list[int]) -> bytes:
    number = 0
    for digit in [*digits, 0, 0, 0][:4]:
        number = number << 6 | digit
    return number.to_bytes(3, "big")[: len(digits) - 1]


def _check_padding(text: str, at: int, digits: int) -> None:
    """`at` stands behind the first `=`; nothing but its twin and line ends may follow."""
    if digits < 2:
        raise _corrupt(at - 1)
    if digits == 2:
        at = _after_line_ends(text, at)
        if at == len(text):
            raise _corrupt(at)
        if text[at] != "=":
            raise _corrupt(at - 1)
        at += 1
    at = _after_line_ends(text, at)
    if at < len(text):
        raise _corrupt(at)


def _after_line_ends(text: str, at: int) -> int:
    while at < len(text) and text[at] in "\r\n":
        at += 1
    return at


def _corrupt(at: int) -> ValueError:
    return ValueError(f"illegal base64 data at input byte {at}")


#: The canonical text of each special kind whose JSON is a string.
TIMES: dict[str, Callable[[str], str | None]] = {"time": time, "micro_time": micro_time}
