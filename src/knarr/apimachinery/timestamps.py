"""Times as the API writes them: RFC 3339 in UTC, whole seconds (`Time`) or microseconds (`MicroTime`).

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#units
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+-])(\d\d):(\d\d))", re.ASCII)


def seconds(moment: datetime) -> str:
    """`2026-01-02T03:04:05Z`; what is below a second is cut off."""
    global _newest  # noqa: PLW0603 - a memory of one
    # Every write stamps times, most of them the same.
    if not _NO_TIME <= moment - _newest[0] < _SECOND:
        whole = moment.replace(microsecond=0)
        # Not strftime, which takes many times as long.
        _newest = whole, whole.astimezone(UTC).isoformat()[:19] + "Z"
    return _newest[1]


_NO_TIME, _SECOND = timedelta(0), timedelta(seconds=1)
_newest = datetime.fromtimestamp(0, UTC), "1970-01-01T00:00:00Z"


def micro(moment: datetime) -> str:
    """`2026-01-02T03:04:05.000006Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse(text: str) -> datetime:
    """A moment from RFC 3339 text, in UTC; digits below a microsecond are dropped. Raises `ValueError`."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    fraction, zulu, sign, hours, minutes = match.group(7, 8, 9, 10, 11)
    zone: timezone = UTC
    if not zulu:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    date = [int(part) for part in match.group(1, 2, 3, 4, 5, 6)]
    microseconds = int((fraction or "0")[:6].ljust(6, "0"))
    return datetime(date[0], date[1], date[2], date[3], date[4], date[5], microseconds, zone).astimezone(UTC)


def parse_optional(text: str | None) -> datetime | None:
    """A moment, or `None` for an absent or empty text. Raises `ValueError`."""
    return parse(text) if text else None
