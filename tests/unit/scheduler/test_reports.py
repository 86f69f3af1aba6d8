from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from knarr.scheduler import reports

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_condition_that_stands_is_not_written_again(make_pod: Any) -> None:
    first = reports.not_scheduled(make_pod(), "Unschedulable", "m", NOW)
    assert first is not None
    told = make_pod(status=first["status"])
    assert reports.not_scheduled(told, "Unschedulable", "m", NOW) is None
    other = reports.not_scheduled(told, "Unschedulable", "n", datetime(2027, 1, 1, tzinfo=UTC))
    assert other is not None
    assert other["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"


def test_long_messages_are_cut_in_events() -> None:
    assert reports.shortened("x" * 1024) == "x" * 1024
    cut = reports.shortened("x" * 1025)
    assert len(cut) == 1024 and cut.endswith("x ...")
