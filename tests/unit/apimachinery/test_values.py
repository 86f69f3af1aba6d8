from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery import intstr, timestamps


def test_scaled_counts_and_percentages() -> None:
    assert intstr.scaled(3, 10, round_up=True) == 3
    assert intstr.scaled("25%", 10, round_up=True) == 3
    assert intstr.scaled("25%", 10, round_up=False) == 2
    assert intstr.scaled("100%", 7, round_up=False) == 7
    with pytest.raises(ValueError):
        intstr.scaled("25", 10, round_up=True)


@given(st.integers(0, 300), st.integers(0, 10000))
def test_rounding_differs_by_one_at_most(share: int, total: int) -> None:
    up, down = (intstr.scaled(f"{share}%", total, round_up=up) for up in (True, False))
    assert down * 100 <= share * total <= up * 100
    assert up - down == (1 if share * total % 100 else 0)


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - Hypothesis wants it naive
def test_times_round_trip(moment: datetime) -> None:
    assert timestamps.parse(timestamps.micro(moment)) == moment
    assert timestamps.parse(timestamps.seconds(moment)) == moment.replace(microsecond=0)


def test_time_forms() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    assert timestamps.seconds(moment) == "2026-01-02T03:04:05Z"
    assert timestamps.micro(moment) == "2026-01-02T03:04:05.000006Z"
    assert timestamps.seconds(moment.astimezone(timezone(timedelta(hours=2)))) == "2026-01-02T03:04:05Z"
    assert timestamps.parse("2026-01-02T05:04:05.0000061+02:00") == moment
    assert timestamps.parse_optional(None) is None
    for bad in ("", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z"):
        with pytest.raises(ValueError):
            timestamps.parse(bad)
