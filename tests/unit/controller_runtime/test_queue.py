"""The work queue."""

from __future__ import annotations

import pytest

from knarr.controller_runtime.queue import WorkQueue


def test_a_key_waits_once_and_is_worked_on_once_at_a_time() -> None:
    queue: WorkQueue[str] = WorkQueue()
    assert queue.add("a", 0)
    assert not queue.add("a", 1)
    assert queue.get() == ("a", 0)
    queue.add("a", 2)
    queue.add("a", 3)
    assert queue.get() is None
    queue.done("a")
    assert queue.get() == ("a", 2)
    queue.done("a")
    assert queue.is_idle()


def test_the_back_off_doubles_from_five_milliseconds_to_a_thousand_seconds() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waits = [queue.retry("a", 0) for _ in range(30)]
    assert waits[:4] == pytest.approx([0.005, 0.01, 0.02, 0.04])
    assert waits[-1] == 1000
    queue.forget("a")
    assert queue.retry("a", 0) == 0.005


def test_of_two_delays_the_shorter_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 10, 0)
    queue.add_after("a", 5, 0)
    queue.add_after("a", 7, 0)
    assert queue.due() == 5
    queue.take_due(5)
    assert queue.get() == ("a", 5)
    assert queue.due() is None


def test_a_key_that_rests_is_not_given_out_before() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.rest("a", 5.0)
    queue.add("a", 1.0)
    queue.add("b", 1.0)
    assert queue.get(2.0) == ("b", 1.0)
    assert queue.get(2.0) is None
    assert queue.due() == 5.0
    queue.take_due(5.0)
    assert queue.get(5.0) == ("a", 5.0)
