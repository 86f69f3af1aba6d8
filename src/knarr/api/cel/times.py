"""Timestamps and durations as text, as Go writes and reads them, to the nanosecond."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.operators import EARLIEST, LATEST
from knarr.api.cel.values import Duration, Timestamp

SECOND = 10**9
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_DURATION = re.compile(r"([-+]?)((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+|0)", re.ASCII)
_PART = re.compile(r"([0-9.]+)([a-zµμ]+)")
_LONG_UNITS = {
    name: size
    for size, names in (
        (1, "nanosecond nanoseconds ns nano nanos"),
        (1000, "microsecond microseconds us µs micro micros"),
        (10**6, "millisecond milliseconds ms milli millis"),
        (SECOND, "second seconds s sec secs"),
        (60 * SECOND, "minute minutes m min mins"),
        (3600 * SECOND, "hour hours h hr hrs"),
        (24 * 3600 * SECOND, "day days d"),
        (7 * 24 * 3600 * SECOND, "week weeks w wk wks"),
    )
    for name in names.split()
}
#: Texts of durations are no longer.
_LONGEST = 500
_LONG_PART = re.compile(r"([0-9]+)\s*([A-Za-zµ]+)", re.ASCII)
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))",
    re.ASCII,
)
#: What else schemas take for a time: without seconds, without a zone, with a space, with a zone without a colon.
_LENIENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONE = re.compile(r"([+-]?)([0-9]{1,2}):([0-9]{2})", re.ASCII)


def read_duration(text: str) -> Duration | None:
    """A duration as Go has it (`1h2m3.5s`), or None."""
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    total = sum((int(Decimal(size) * _UNITS[unit]) for size, unit in _PART.findall(match[2])), 0)
    value = -total if match[1] == "-" else total
    return Duration(value) if -(2**63) <= value < 2**63 else None


def read_long_duration(text: str) -> Duration | None:
    """The same, or one as schemas of format `duration` have it (`3 days`)."""
    found = read_duration(text)
    if found is not None:
        return found
    parts = _LONG_PART.findall(text) if len(text) <= _LONGEST else []
    if not parts or any(unit.lower() not in _LONG_UNITS for _, unit in parts):
        return None
    return Duration(sum(int(size) * _LONG_UNITS[unit.lower()] for size, unit in parts))


def duration_text(value: int) -> str:
    """A duration in seconds: `3600s`, `0.5s`."""
    sign, size = ("-" if value < 0 else ""), abs(value)
    fraction = f"{size % SECOND:09}".rstrip("0")
    return f"{sign}{size // SECOND}{'.' + fraction if fraction else ''}s"


def read_timestamp(text: str) -> Timestamp | None:
    """A timestamp as RFC 3339 has it, or None. Raises `EvaluationError` for years that timestamps do not have."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        point = datetime(max(year, 1), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    offset = (int(match[9]) * 3600 + int(match[10]) * 60) * (-1 if match[8] == "+" else 1) if match[8] else 0
    nanoseconds = int((match[7] or "0")[:9].ljust(9, "0"))
    value = (_seconds(point) + offset) * SECOND + nanoseconds
    if year < 1 or not EARLIEST <= value <= LATEST:
        raise EvaluationError("timestamp overflow")
    return Timestamp(value, -offset)


def read_date_time(text: str) -> Timestamp | None:
    """A time as schemas of format `date-time` have it, or None. Raises as `read_timestamp`."""
    match = _LENIENT.fullmatch(text)
    if match is None:
        return None
    zone = (match[4] or "Z").upper()
    zone = zone if zone == "Z" or ":" in zone else f"{zone[:3]}:{zone[3:]}"
    return read_timestamp(f"{match[1]}T{match[2]}{match[3] or ':00'}{zone}")


def read_date(text: str) -> Timestamp | None:
    """The start of a day (`2024-02-29`), or None."""
    return read_timestamp(f"{text}T00:00:00Z")


def _seconds(point: datetime) -> int:
    since = point - _EPOCH
    return since.days * 86400 + since.seconds


def timestamp_text(value: Timestamp) -> str:
    """A timestamp as RFC 3339 has it, without zeros at the end, in the zone that it was read with."""
    seconds, part = divmod(int(value), SECOND)
    point = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)
    with contextlib.suppress(OverflowError):
        point += timedelta(seconds=value.offset)
    fraction = f"{part:09}".rstrip("0")
    return f"{point.isoformat()}{'.' + fraction if fraction else ''}{_offset_text(value.offset)}"


def _offset_text(offset: int) -> str:
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}" if offset else "Z"


def local(value: int, zone: str = "") -> datetime:
    """A timestamp as a clock in a zone (`Europe/Berlin`, `+01:00`) shows it. Raises for unknown zones."""
    return (_EPOCH + timedelta(seconds=value // SECOND)).astimezone(_zone(zone) if zone else UTC)


def _zone(name: str) -> tzinfo:
    match = _ZONE.fullmatch(name)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name) if name != "Local" else UTC
    except (ValueError, OSError) as error:
        raise EvaluationError(f"unknown time zone {name}") from error
    except KeyError as error:
        raise EvaluationError(f"unknown time zone {name}") from error
