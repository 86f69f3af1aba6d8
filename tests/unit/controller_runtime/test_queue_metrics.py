"""The counters of work queues."""

from __future__ import annotations

from knarr.component_base.metrics import Registry
from knarr.controller_runtime.queue_metrics import QueueMetrics, State, WorkerMetrics, families


def shown(shared: QueueMetrics, states: list[State]) -> dict[str, str]:
    text = Registry(families(shared, lambda: states)).text().decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_a_key_is_counted_from_waiting_to_done() -> None:
    shared = QueueMetrics()
    worker = WorkerMetrics(shared, "deployment")
    worker.added()
    worker.began("key", now=5.0, since=3.0)
    running = shown(shared, [State("deployment", 2, worker.unfinished(6.5))])
    assert running['workqueue_adds_total{name="deployment"}'] == "1"
    assert running['workqueue_queue_duration_seconds_sum{name="deployment"}'] == "2"
    assert running['workqueue_depth{name="deployment"}'] == "2"
    assert running['workqueue_unfinished_work_seconds{name="deployment"}'] == "1.5"
    assert running['workqueue_longest_running_processor_seconds{name="deployment"}'] == "1.5"
    worker.ended("key", now=7.0)
    worker.retried()
    done = shown(shared, [State("deployment", 0, worker.unfinished(8.0))])
    assert done['workqueue_work_duration_seconds_sum{name="deployment"}'] == "2"
    assert done['workqueue_retries_total{name="deployment"}'] == "1"
    assert done['workqueue_longest_running_processor_seconds{name="deployment"}'] == "0"
