"""When probes are due and what their results come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.kubelet.probes import Tally, Timing, wanted


def verdicts(kind: str, results: str, successes: int = 1, failures: int = 3, verdict: bool | None = None) -> str:
    """The verdict of each result (`+` or `-`), `.` for none, up to where probing stops."""
    tally = Tally(kind, Timing(successes=successes, failures=failures), verdict=verdict)
    out = ""
    for result in results:
        if tally.held:
            break
        out += {True: "+", False: "-", None: "."}[tally.take(success=result == "+")]
    return out


@pytest.mark.parametrize(
    ("kind", "results", "expected"),
    [
        ("readiness", "---+--+---", "..-+.....-"),
        ("liveness", "+--+---", "+.....-"),
        ("startup", "--+---", "..+"),
        ("startup", "-----", "..-"),
    ],
)
def test_thresholds(kind: str, results: str, expected: str) -> None:
    assert verdicts(kind, results) == expected


def test_a_verdict_that_is_known_is_not_repeated() -> None:
    assert verdicts("readiness", "++", verdict=True) == ".."
    assert verdicts("readiness", "++++", successes=3, verdict=False) == "..+."


@given(st.text("+-", max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_readiness_changes_only_after_as_many_results_in_a_row(results: str, successes: int, failures: int) -> None:
    for index, verdict in enumerate(verdicts("readiness", results, successes, failures)):
        if verdict != ".":
            count = successes if verdict == "+" else failures
            assert results[: index + 1].endswith(verdict * count)


def test_other_probes_wait_for_the_startup_probe() -> None:
    container: dict[str, dict[str, dict[str, str]]] = {
        f"{kind}Probe": {"exec": {}} for kind in ("startup", "liveness", "readiness")
    }
    assert wanted(container, started=False) == ("startup",)
    assert wanted(container, started=True) == ("liveness", "readiness")
    assert wanted({}, started=True) == ()


def test_the_initial_delay_counts_from_the_containers_start() -> None:
    timing = Timing.of({"initialDelaySeconds": 5, "periodSeconds": 2})
    assert (timing.first_delay(0), timing.first_delay(4), timing.first_delay(9)) == (5, 1, 0)
    assert (timing.period, timing.timeout, timing.successes, timing.failures) == (2, 1, 1, 3)
