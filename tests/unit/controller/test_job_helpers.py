"""Parts of the Job controller by themselves: sets of indexes, policies, back-off, the ends of pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.types import Object
from knarr.controller.job import backoff, failure_policy, intervals, pods, success_policy

indexes = st.frozensets(st.integers(0, 60), max_size=40)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def members(found: intervals.Intervals) -> set[int]:
    return {index for first, last in found for index in range(first, last + 1)}


@given(indexes, indexes)
def test_sets_of_indexes_are_sets(one: frozenset[int], other: frozenset[int]) -> None:
    left, right = intervals.of(one), intervals.of(other)
    assert members(left) == one
    assert intervals.parse(intervals.text(left), 61) == left
    both = intervals.union(left, right)
    assert members(both) == one | other
    assert all(last + 1 < first for (_, last), (first, _) in zip(both, both[1:], strict=False))
    assert intervals.total(left) == len(one)
    assert intervals.common(left, right) == len(one & other)
    assert {index for index in range(62) if intervals.has(left, index)} == one


@given(indexes, st.integers(0, 70), st.integers(0, 70))
def test_the_first_missing_indexes_are_the_lowest(taken: frozenset[int], count: int, completions: int) -> None:
    expected = [index for index in range(completions) if index not in taken][:count]
    assert intervals.first_missing(intervals.of(taken), count, completions) == expected


@given(st.text("0123456789,-x ", max_size=20), st.integers(0, 50))
def test_texts_that_make_no_sense_name_no_index_that_there_is_not(text: str, completions: int) -> None:
    assert all(0 <= index < completions for index in members(intervals.parse(text, completions)))


def test_indexes_are_written_as_kubernetes_does() -> None:
    assert intervals.text(intervals.of([0, 2, 3, 5, 6, 7])) == "0,2,3,5-7"


def pod(code: int = 1, *conditions: str, **more: Any) -> Object:
    state = {"name": "c", "state": {"terminated": {"exitCode": code, "finishedAt": "2026-01-01T12:00:00Z"}}}
    status = {"phase": "Failed", "containerStatuses": [state]}
    status["conditions"] = [{"type": kind, "status": "True"} for kind in conditions]
    meta = {"name": "p", "namespace": "n", "creationTimestamp": "2026-01-01T11:00:00Z", **more}
    return {"metadata": meta, "spec": {"containers": []}, "status": status}


def with_rules(*rules: Object) -> Object:
    return {"spec": {"podFailurePolicy": {"rules": list(rules)}}}


@pytest.mark.parametrize(
    ("operator", "values", "code", "matches"),
    [("In", [1, 2], 1, True), ("In", [2], 1, False), ("NotIn", [2], 1, True), ("NotIn", [1], 1, False)],
)
def test_rules_on_exit_codes(operator: str, values: list[int], code: int, *, matches: bool) -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": operator, "values": values}}
    assert failure_policy.judge(with_rules(rule), pod(code)).counts is not matches
    other = {"action": "Ignore", "onExitCodes": {**rule["onExitCodes"], "containerName": "other"}}  # type: ignore[dict-item]
    assert failure_policy.judge(with_rules(other), pod(code)).counts


def test_the_first_rule_that_matches_counts_and_success_never_does() -> None:
    count = {"action": "Count", "onPodConditions": [{"type": "A", "status": "True"}]}
    fail = {"action": "FailJob", "onPodConditions": [{"type": "B", "status": "True"}]}
    assert failure_policy.judge(with_rules(count, fail), pod(1, "A", "B")).action == "Count"
    found = failure_policy.judge(with_rules(count, fail), pod(1, "B"))
    assert found.message == "Pod n/p has condition B matching FailJob rule at index 1"
    rule = {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [5]}}
    assert failure_policy.judge(with_rules(rule), pod(0)).action == ""


@pytest.mark.parametrize(
    ("rule", "succeeded", "met"),
    [
        ({"succeededIndexes": "0-2"}, [0, 1, 2, 4], True),
        ({"succeededIndexes": "0-2"}, [0, 1], False),
        ({"succeededIndexes": "0-2", "succeededCount": 2}, [0, 2], True),
        ({"succeededIndexes": "0-2", "succeededCount": 2}, [0, 4, 5], False),
        ({"succeededCount": 3}, [0, 4, 5], True),
        ({"succeededIndexes": "nonsense"}, [0], False),
    ],
)
def test_success_rules(rule: Object, succeeded: list[int], *, met: bool) -> None:
    job = {"spec": {"completions": 10, "successPolicy": {"rules": [rule]}}}
    assert (success_policy.met_rule(job, intervals.of(succeeded)) == 0) is met


@given(st.integers(1, 40), st.floats(0, 500))
def test_the_back_off_doubles_up_to_six_minutes(failures: int, passed: float) -> None:
    left = backoff.remaining(failures, NOW, NOW + timedelta(seconds=passed))
    whole = min(10 * 2 ** (failures - 1), 360)
    assert left == pytest.approx(max(0.0, whole - passed), abs=1e-3)


def test_a_success_ends_the_row_of_failures() -> None:
    job: Object = {"spec": {}, "status": {"succeeded": 1, "failed": 5}}
    done = pod(0)
    done["status"]["phase"] = "Succeeded"
    assert backoff.of_job(job, [pod(), done], 5, NOW) == 0
    done["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-01-01T11:59:00Z"
    assert backoff.of_job(job, [pod(), done], 5, NOW) == 10
    assert backoff.of_job({"spec": {}}, [pod()], 3, NOW) == 40


def test_when_a_pod_ended() -> None:
    whole = pod(deletionTimestamp="2026-01-01T11:40:30Z", deletionGracePeriodSeconds=30)
    assert pods.finished_at(whole) == NOW
    whole["status"]["containerStatuses"][0]["state"] = {"running": {}}
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T11:30:00Z"}
    whole["status"]["conditions"] = [ready]
    assert pods.finished_at(whole) == NOW - timedelta(minutes=30)
    whole["status"]["conditions"] = []
    assert pods.finished_at(whole) == NOW - timedelta(minutes=20)
    del whole["metadata"]["deletionTimestamp"]
    assert pods.finished_at(whole) == NOW - timedelta(hours=1)
