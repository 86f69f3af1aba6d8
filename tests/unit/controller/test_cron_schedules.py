"""When cron schedules fire: in zones whose clocks change, for schedules that never do, for many missed starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.controller.cronjob import missed
from knarr.controller.cronjob.schedule import Fields, Unparseable, parse


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


#: From the tests that robfig/cron has for its standard fields, and from the days on which clocks change.
CASES = [
    ("2012-07-09T14:45:00+00:00", "0/15 * * * *", "2012-07-09T15:00:00+00:00"),
    ("2012-07-09T14:59:59+00:00", "0/15 * * * *", "2012-07-09T15:00:00+00:00"),
    ("2012-07-09T15:45:00+00:00", "20-35/15 * * * *", "2012-07-09T16:20:00+00:00"),
    ("2012-07-09T23:35:51+00:00", "20-35/15 * * * *", "2012-07-10T00:20:00+00:00"),
    ("2012-07-09T23:35:00+00:00", "0 0 */10 * *", "2012-07-11T00:00:00+00:00"),
    ("2012-07-09T23:35:00+00:00", "0 0 * Feb Mon", "2013-02-04T00:00:00+00:00"),
    ("2012-07-09T23:35:00+00:00", "0 0 * Feb Mon/2", "2013-02-01T00:00:00+00:00"),
    ("2012-07-09T23:35:00+00:00", "0 0 29 Feb ?", "2016-02-29T00:00:00+00:00"),
    ("2012-07-09T23:35:00+00:00", "0 0 13 * Fri", "2012-07-13T00:00:00+00:00"),
    ("2012-07-09T23:35:00+00:00", "0 0 1 * Wed", "2012-07-11T00:00:00+00:00"),
    ("2012-07-09T14:45:30+00:00", "@hourly", "2012-07-09T15:00:00+00:00"),
    ("2012-07-09T14:45:30+00:00", "@weekly", "2012-07-15T00:00:00+00:00"),
    ("2012-07-09T14:45:30+00:00", "@every 1h30m", "2012-07-09T16:15:30+00:00"),
    # Clocks go forward: 2 o'clock is left out.
    ("2012-03-11T00:00:00-05:00", "TZ=America/New_York 30 2 11 Mar ?", "2013-03-11T02:30:00-04:00"),
    ("2012-03-11T01:00:00-05:00", "TZ=America/New_York 0 * * * *", "2012-03-11T03:00:00-04:00"),
    ("2012-03-11T00:00:00-05:00", "TZ=America/New_York 0 1 * * *", "2012-03-11T01:00:00-05:00"),
    ("2012-03-11T01:00:00-05:00", "TZ=America/New_York 0 2 * * *", "2012-03-12T02:00:00-04:00"),
    # Clocks go back: 1 o'clock comes twice.
    ("2012-11-04T01:45:00-04:00", "TZ=America/New_York 30 1 04 Nov ?", "2012-11-04T01:30:00-05:00"),
    ("2012-11-04T01:00:00-04:00", "TZ=America/New_York 0 * * * *", "2012-11-04T01:00:00-05:00"),
    ("2012-11-04T01:00:00-04:00", "TZ=America/New_York 0 1 * * *", "2012-11-04T01:00:00-05:00"),
    ("2012-11-04T01:00:00-05:00", "TZ=America/New_York 0 2 * * *", "2012-11-04T02:00:00-05:00"),
    # Days that begin at 1 o'clock.
    ("2018-10-17T05:00:00-04:00", "TZ=America/Sao_Paulo 0 9 10 * ?", "2018-11-10T06:00:00-05:00"),
    ("2018-02-14T05:00:00-05:00", "TZ=America/Sao_Paulo 0 9 22 * ?", "2018-02-22T07:00:00-05:00"),
    ("2022-03-26T12:00:00+02:00", "TZ=Asia/Beirut 0 9 27 * ?", "2022-03-27T09:00:00+03:00"),
]


@pytest.mark.parametrize(("after", "text", "expected"), CASES)
def test_a_schedule_fires_next(after: str, text: str, expected: str) -> None:
    assert parse(text).next(moment(after)) == moment(expected)


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 Feb ?", "0 0 31 Apr,Jun,Sep,Nov *", ", * * * *"])
def test_days_that_there_are_not_never_come(text: str) -> None:
    schedule = parse(text)
    assert schedule.next(moment("2026-01-01T00:00:00+00:00")) is None
    cron_job = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}
    now = moment("2026-01-01T00:01:00+00:00")
    with pytest.raises(missed.NeverFires, match="less than 1 second"):
        missed.starts(cron_job, schedule, now, within_deadline=True)
    assert missed.seconds_to_next(cron_job, schedule, now) > 86400


@pytest.mark.parametrize("text", ["TZ=Nowhere/City * * * * *", "* * * *", "@nightly", "61 * * * *", "*/0 * * * *", ""])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(Unparseable):
        parse(text)


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]
ZONES += ["Asia/Beirut", "America/Havana", "Pacific/Apia", "Africa/Casablanca", "America/St_Johns"]
EPOCH = datetime(2005, 1, 1, tzinfo=UTC)


def fields(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high)
    span = st.tuples(one, one).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.tuples(st.sampled_from(["*", str(low)]), st.integers(1, 20)).map(lambda part: f"{part[0]}/{part[1]}")
    return st.one_of(st.just("*"), one.map(str), span, step, st.lists(one, min_size=1, max_size=3).map(joined))


def joined(numbers: list[int]) -> str:
    return ",".join(map(str, numbers))


schedules = st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6)).map(" ".join)
moments = st.integers(0, 30 * 365 * 86400).map(lambda seconds: EPOCH + timedelta(seconds=seconds))


def fits(schedule: Fields, at: datetime) -> bool:
    wall = at.astimezone(schedule.zone)
    fine = wall.minute in schedule.minutes and wall.hour in schedule.hours and wall.month in schedule.months
    return fine and schedule.fits_day(wall)


@given(schedules, st.sampled_from(ZONES), moments)
def test_what_fires_fits_the_wall_clock_and_nothing_before_does(text: str, zone: str, after: datetime) -> None:
    schedule = parse(text, ZoneInfo(zone))
    assert isinstance(schedule, Fields)
    found = schedule.next(after)
    end = found if found is not None else after + timedelta(days=5 * 365)
    if found is not None:
        assert found > after
        assert fits(schedule, found)
    # Of what lies between: the minutes just after, and those just before.
    start = after.replace(second=0) + timedelta(minutes=1)
    for base in (start, end - timedelta(minutes=200)):
        for minute in range(200):
            at = base + timedelta(minutes=minute)
            if start <= at < end:
                assert not fits(schedule, at), at


@given(schedules, st.sampled_from(ZONES), moments, st.integers(0, 86400))
def test_the_latest_start_is_the_one_that_stepping_finds(text: str, zone: str, after: datetime, seconds: int) -> None:
    schedule = parse(text, ZoneInfo(zone))
    now = after + timedelta(seconds=seconds)
    expected, step = None, schedule.next(after)
    while step is not None and step <= now:
        expected, step = step, schedule.next(step)
    assert missed.latest(schedule, after, now) == expected


class Counted:
    """A schedule that counts how often it is asked."""

    def __init__(self, text: str) -> None:
        self.inner = parse(text)
        self.asked = 0

    def next(self, after: datetime) -> datetime | None:
        self.asked += 1
        return self.inner.next(after)


@given(st.sampled_from(["* * * 1 *", "* * 1 1 *", "*/2 0-3 * 6 *", "* * * * *"]), moments, st.integers(0, 3 * 366))
def test_years_of_missed_starts_cost_a_few_searches(text: str, created: datetime, days: int) -> None:
    schedule = Counted(text)
    cron_job = {"metadata": {"creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ")}, "spec": {}}
    missed.starts(cron_job, schedule, created + timedelta(days=days), within_deadline=True)  # type: ignore[arg-type]
    assert schedule.asked < 60
