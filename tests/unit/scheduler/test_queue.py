from __future__ import annotations

from typing import Any

import pytest

from knarr.scheduler import profile
from knarr.scheduler.framework import Event, EventKind
from knarr.scheduler.queue import Place, Queue


@pytest.fixture
def queue() -> Queue:
    return Queue(profile.DEFAULT)


def popped(queue: Queue, now: float) -> str:
    queued = queue.pop(now)
    return queued.pod.name if queued else ""


def test_priority_then_age(queue: Queue, make_pod: Any) -> None:
    queue.set(make_pod("low"), 1)
    queue.set(make_pod("high", priority=10), 2)
    queue.set(make_pod("low2"), 0.5)
    assert [popped(queue, 3) for _ in range(4)] == ["high", "low2", "low", ""]


def test_a_refused_pod_waits_for_an_event_that_helps(queue: Queue, make_pod: Any, make_node: Any) -> None:
    queue.set(make_pod(cpu="2"), 0)
    queued = queue.pop(0)
    assert queued is not None
    queue.refuse(queued, {"NodeResourcesFit"}, 0)
    assert queue.count(Place.WAITING) == 1
    assert not queue.wake(Event(EventKind.NODE_ADD, new=make_node("small", cpu="1")), 5)
    assert popped(queue, 5) == ""
    assert queue.wake(Event(EventKind.NODE_ADD, new=make_node("large")), 5)
    assert popped(queue, 5) == "p"


def test_pauses_double_up_to_ten_seconds(queue: Queue, make_pod: Any) -> None:
    queue.set(make_pod(), 0)
    now, pauses = 0.0, []
    for _ in range(6):
        queued = queue.pop(now)
        assert queued is not None
        queue.retry(queued, now)
        due = queue.next_due()
        assert due is not None
        assert queue.pop(due - 0.01) is None
        pauses.append(due - now)
        now = due
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_a_woken_pod_does_not_sit_out_its_pause_when_nothing_else_waits(
    queue: Queue, make_pod: Any, make_node: Any
) -> None:
    queue.set(make_pod(), 0)
    queued = queue.pop(0)
    assert queued is not None
    queue.refuse(queued, {"NodeResourcesFit"}, 0)
    queue.wake(Event(EventKind.NODE_ADD, new=make_node("n")), 0.1)
    assert queue.count(Place.BACKOFF) == 1
    queue.set(make_pod("other"), 0.1)
    assert [popped(queue, 0.1), popped(queue, 0.1)] == ["other", "p"]


def test_gated_pods_wait_for_their_own_update(queue: Queue, make_pod: Any, make_node: Any) -> None:
    queue.set(make_pod(schedulingGates=[{"name": "g"}]), 0)
    assert queue.count(Place.GATED) == 1
    queue.wake(Event(EventKind.NODE_ADD, new=make_node("n")), 1)
    assert popped(queue, 1000) == ""
    queue.set(make_pod(), 1001)
    assert popped(queue, 1001) == "p"


def test_only_changes_that_matter_wake_a_waiting_pod(queue: Queue, make_pod: Any) -> None:
    queue.set(make_pod(cpu="2"), 0)
    queued = queue.pop(0)
    assert queued is not None
    queue.refuse(queued, {"NodeResourcesFit"}, 0)
    queue.set(make_pod(cpu="2", status={"phase": "Pending"}, meta={"resourceVersion": "5"}), 20)
    assert popped(queue, 20) == ""
    queue.set(make_pod(cpu="1"), 30)
    assert popped(queue, 30) == "p"


def test_after_five_minutes_a_pod_is_tried_again(queue: Queue, make_pod: Any) -> None:
    queue.set(make_pod(), 0)
    queued = queue.pop(0)
    assert queued is not None
    queue.refuse(queued, {"NodeName"}, 0)
    assert queue.next_due() == 300
    assert popped(queue, 299) == ""
    assert popped(queue, 300) == "p"


def test_removed_pods_never_come_back(queue: Queue, make_pod: Any) -> None:
    queue.set(make_pod(), 0)
    queued = queue.pop(0)
    assert queued is not None
    queue.remove("uid-p")
    queue.retry(queued, 0)
    queue.refuse(queued, {"NodeName"}, 0)
    assert len(queue) == 0 and popped(queue, 1000) == ""


def test_a_pod_recreated_while_tried_is_not_confused_with_the_old_one(queue: Queue, make_pod: Any) -> None:
    queue.set(make_pod(), 0)
    old = queue.pop(0)
    assert old is not None
    queue.remove("uid-p")
    queue.set(make_pod(), 1)
    queue.retry(old, 1)
    assert popped(queue, 1) == "p"
