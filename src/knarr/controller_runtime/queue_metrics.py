"""What `/metrics` tells of controllers' queues (`workqueue_…`) and of Leases. Durations in seconds.

Source: k8s.io/component-base/metrics/prometheus/workqueue, clientgo/leaderelection.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from knarr.component_base.metrics import About, Counter, Family, Histogram, Looked, exponential

_NAME = ("name",)
_BUCKETS = exponential(1e-8, 10, 10)
_DEPTH = About("workqueue_depth", "Current depth of workqueue", _NAME)
_UNFINISHED = About(
    "workqueue_unfinished_work_seconds",
    "How many seconds of work has done that is in progress and hasn't been observed by work_duration.",
    _NAME,
)
_LONGEST = About(
    "workqueue_longest_running_processor_seconds",
    "How many seconds has the longest running processor for workqueue been running.",
    _NAME,
)
LEADING = About(
    "leader_election_master_status",
    "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
    _NAME,
)


class QueueMetrics:
    """The counters that all queues of a process share; `of` gives those of one."""

    def __init__(self) -> None:
        self.adds = Counter(About("workqueue_adds_total", "Total number of adds handled by workqueue", _NAME))
        self.retries = Counter(About("workqueue_retries_total", "Total number of retries handled by workqueue", _NAME))
        self.waited = Histogram(
            About(
                "workqueue_queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested.",
                _NAME,
            ),
            _BUCKETS,
        )
        self.worked = Histogram(
            About(
                "workqueue_work_duration_seconds",
                "How long in seconds processing an item from workqueue takes.",
                _NAME,
            ),
            _BUCKETS,
        )


class State(NamedTuple):
    """A queue at one moment: how many keys wait, and for how long each that is worked on has been."""

    name: str
    depth: int
    unfinished: Sequence[float]


class WorkerMetrics:
    """One queue's counters, and what is worked on since when (monotonic seconds)."""

    def __init__(self, shared: QueueMetrics, name: str) -> None:
        self._shared = shared
        self._key = (name,)
        self._began: dict[Hashable, float] = {}

    def added(self) -> None:
        """A key came to wait."""
        self._shared.adds.add(self._key)

    def retried(self) -> None:
        """A key is to come back after its back-off."""
        self._shared.retries.add(self._key)

    def began(self, key: Hashable, now: float, since: float) -> None:
        """The work on a key begins, which has waited since then."""
        self._began[key] = now
        self._shared.waited.observe(now - since, self._key)

    def ended(self, key: Hashable, now: float) -> None:
        """The work on a key has ended."""
        self._shared.worked.observe(now - self._began.pop(key), self._key)

    def unfinished(self, now: float) -> list[float]:
        """For how long each key that is worked on has been."""
        return [now - began for began in self._began.values()]


def families(shared: QueueMetrics, look: Callable[[], Sequence[State]]) -> list[Family]:
    """All families of queues. `look` gives the state of each queue now."""
    return [
        shared.adds,
        shared.retries,
        shared.waited,
        shared.worked,
        Looked(_DEPTH, lambda: [((one.name,), one.depth) for one in look()]),
        Looked(_UNFINISHED, lambda: [((one.name,), sum(one.unfinished)) for one in look()]),
        Looked(_LONGEST, lambda: [((one.name,), max(one.unfinished, default=0.0)) for one in look()]),
    ]
