"""Cron schedules: when one fires next.

Input: five fields or a descriptor, a time zone, a moment. Output: the first moment after it, in UTC and whole seconds,
or None where there is none within five years. The rules are those of robfig/cron v3: what the zone's wall clock shows
counts. So a time that the change to summer time leaves out does not fire that day, and one that the change back repeats
fires twice. Each step of a search passes an hour, a day or a month, so that it is short for whatever schedule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from knarr.api.validation import cron

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_HOUR, _MINUTE = 3600, 60
#: Years after which a search gives up.
_HORIZON = 5


class Unparseable(ValueError):
    """A schedule that is not one; its text says why."""


@dataclass(frozen=True, slots=True)
class Every:
    """Fires each time so many seconds have passed."""

    seconds: int

    def next(self, after: datetime) -> datetime | None:
        """The first moment after another."""
        return after.replace(microsecond=0) + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Fields:
    """The minutes, hours, days and months at which a schedule fires, in a zone."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    #: Whether both the day of the month and the weekday must fit; else one of them is enough.
    both_days: bool
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """The first moment after another, or None."""
        if not all((self.minutes, self.hours, self.months, self.days or self.weekdays)):
            return None
        start = int(after.timestamp()) + 1
        limit = datetime.fromtimestamp(start, self.zone).year + _HORIZON
        found = start
        # Each step mends the coarsest field that does not fit.
        while (moment := datetime.fromtimestamp(found, self.zone)).year <= limit:
            later = self._later(found, moment)
            if later is None:
                return datetime.fromtimestamp(found, UTC)
            found = later
        return None

    def fits_day(self, moment: datetime) -> bool:
        """Whether a schedule fires on the day."""
        day, weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        return day and weekday if self.both_days else day or weekday

    def _later(self, unix: int, moment: datetime) -> int | None:
        """The next candidate, None where the present one fits."""
        if moment.month not in self.months:
            return _begin(datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC), self.zone)
        if not self.fits_day(moment):
            return _begin(datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + timedelta(days=1), self.zone)
        if moment.hour not in self.hours:
            return unix - moment.minute * _MINUTE - moment.second + _HOUR
        if moment.minute not in self.minutes:
            return unix - moment.second + _MINUTE
        return unix - moment.second + _MINUTE if moment.second else None


def _unix(wall: datetime, zone: tzinfo) -> int:
    """The second at which the zone's wall clock shows a time (given as if in UTC).

    Where it never does or does twice, chosen as Go does.
    """
    shown = int(wall.timestamp())
    offset = _offset(shown, zone)
    return shown - _offset(shown - offset, zone) if offset else shown


def _offset(unix: int, zone: tzinfo) -> int:
    found = datetime.fromtimestamp(unix, zone).utcoffset()
    return int(found.total_seconds()) if found is not None else 0


def _begin(midnight: datetime, zone: tzinfo) -> int:
    """When a day begins: where clocks change then, that may be late."""
    unix = _unix(midnight, zone)
    hour = datetime.fromtimestamp(unix, zone).hour
    return unix + (24 - hour) * _HOUR if hour > 12 else unix


Schedule = Every | Fields


def parse(text: str, zone: tzinfo = UTC) -> Schedule:
    """A schedule from its text; a zone that the text names itself counts. Raises `Unparseable`."""
    text = text.strip()
    if text.startswith(("TZ=", "CRON_TZ=")):
        name, _, text = text.partition("=")[2].partition(" ")
        zone, text = _zone(name), text.strip()
    wrong = cron.problem(text)
    if wrong:
        raise Unparseable(wrong)
    if text.startswith("@every "):
        return Every(_duration(text.removeprefix("@every ")))
    minutes, hours, days, months, weekdays = _DESCRIPTORS.get(text, text).split()
    return Fields(
        cron.values(minutes, 0),
        cron.values(hours, 1),
        cron.values(days, 2),
        cron.values(months, 3),
        cron.values(weekdays, 4),
        cron.is_any(days) or cron.is_any(weekdays),
        zone,
    )


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Unparseable(f"provided bad location {name}: unknown time zone {name}") from error


def _duration(text: str) -> int:
    """Whole seconds of a Go duration, at least one."""
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return max(1, int(-seconds if text.startswith("-") else seconds))
