"""Which start of a CronJob is due, and when to look again.

Input: a CronJob, its schedule, the moment. Output: the latest start that was not made, and whether there were many. The
count of starts that were missed is an estimate from the first two; the work does not depend on how many there were.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.cronjob.schedule import Every, Schedule

_MANY = 100
#: Seconds after a start at which it is made: clocks differ.
_LATE = 0.1
#: Seconds after which a schedule without a next start is looked at again.
_LONGEST = 30 * 86400.0


class NeverFires(ValueError):
    """A schedule of days that there are not."""


@dataclass(frozen=True, slots=True)
class Starts:
    """`latest` is the start that is due, None where none is; `missed` estimates how many were missed before."""

    earliest: datetime
    latest: datetime | None = None
    missed: int = 0

    @property
    def are_many(self) -> bool:
        """Whether more were missed than one should."""
        return self.missed > _MANY


def starts(cron_job: Object, schedule: Schedule, now: datetime, *, within_deadline: bool) -> Starts:
    """The starts since the last one. Raises `NeverFires`.

    `within_deadline` leaves out those for which it is too late by `startingDeadlineSeconds`.
    """
    earliest = _earliest(cron_job, now, within_deadline=within_deadline)
    first = schedule.next(earliest)
    second = schedule.next(first) if first is not None else None
    if first is not None and now < first:
        return Starts(earliest)
    if first is not None and second is not None and now < second:
        return Starts(earliest, first)
    if first is None or second is None:
        raise NeverFires("time difference between two schedules is less than 1 second")
    between = int((second - first).total_seconds())
    missed = int((now - first).total_seconds()) // between + 1
    return Starts(earliest, latest(schedule, first + timedelta(seconds=(missed - 2) * between), now), missed)


def _earliest(cron_job: Object, now: datetime, *, within_deadline: bool) -> datetime:
    last = (cron_job.get("status") or {}).get("lastScheduleTime")
    earliest = timestamps.parse(last or cron_job["metadata"]["creationTimestamp"])
    deadline = cron_job["spec"].get("startingDeadlineSeconds")
    if not within_deadline or deadline is None:
        return earliest
    # No earlier than there were clocks: the deadline may be absurd.
    return max(earliest, now - timedelta(seconds=min(deadline, int(now.timestamp()))))


def latest(schedule: Schedule, after: datetime, now: datetime) -> datetime | None:
    """The last start after a moment that is not in the future, found by halving what lies between."""
    found = schedule.next(after)
    if found is None or found > now:
        return None
    if isinstance(schedule, Every):
        return found + timedelta(seconds=int((now - found).total_seconds()) // schedule.seconds * schedule.seconds)
    low, high = int(found.timestamp()), int(now.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        later = schedule.next(datetime.fromtimestamp(middle, UTC))
        if later is not None and later <= now:
            low = int(later.timestamp())
        else:
            high = middle
    last = schedule.next(datetime.fromtimestamp(low, UTC))
    return last if last is not None and last <= now else datetime.fromtimestamp(low, UTC)


def seconds_to_next(cron_job: Object, schedule: Schedule, now: datetime) -> float:
    """Seconds until the start after the one that is due, or after now."""
    try:
        known = starts(cron_job, schedule, now, within_deadline=False)
        begin = known.latest or (now if known.missed else known.earliest)
    except NeverFires:
        begin = now
    coming = schedule.next(begin)
    if coming is None:
        return _LONGEST
    return max(0.0, (coming - now).total_seconds()) + _LATE
