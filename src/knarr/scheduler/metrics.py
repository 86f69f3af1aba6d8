"""The scheduler's metrics (`scheduler_…`): attempts and their results, how long they take, which pods wait where.

Source: k8s.io/kubernetes/pkg/scheduler/metrics.
"""

from __future__ import annotations

from knarr.component_base.metrics import STABLE, About, Counter, Family, Histogram, Looked, Sample, exponential
from knarr.scheduler.queue import Place, Queue

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
_RESULT = ("profile", "result")
_SHOWN = (Place.ACTIVE, Place.BACKOFF, Place.WAITING, Place.GATED)


class SchedulerMetrics:
    """Counters of one scheduler."""

    def __init__(self, profile: str, queue: Queue) -> None:
        self._profile = profile
        self._queue = queue
        self._attempts = Counter(
            About(
                "scheduler_schedule_attempts_total",
                "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be "
                "scheduled, while 'error' means an internal scheduler problem.",
                _RESULT,
                STABLE,
            )
        )
        self._latency = Histogram(
            About(
                "scheduler_scheduling_attempt_duration_seconds",
                "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
                _RESULT,
                STABLE,
            ),
            exponential(0.001, 2, 15),
        )
        self._tries = Histogram(
            About(
                "scheduler_pod_scheduling_attempts", "Number of attempts to successfully schedule a pod.", (), STABLE
            ),
            exponential(1, 2, 5),
        )

    def attempted(self, result: str, seconds: float) -> None:
        """An attempt has ended."""
        self._attempts.add((self._profile, result))
        self._latency.observe(seconds, (self._profile, result))

    def scheduled(self, attempts: int) -> None:
        """A pod has its node, after so many attempts."""
        self._tries.observe(attempts)

    def families(self) -> list[Family]:
        """What `/metrics` shows."""
        pending = About(
            "scheduler_pending_pods",
            "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means "
            "number of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods that the scheduler "
            "attempted to schedule and failed; 'gated' is the number of unschedulable pods that the scheduler never "
            "attempted to schedule because they are gated.",
            ("queue",),
            STABLE,
        )
        return [self._attempts, self._latency, self._tries, Looked(pending, self._pending)]

    def _pending(self) -> list[Sample]:
        return [((place.value,), self._queue.count(place)) for place in _SHOWN]
