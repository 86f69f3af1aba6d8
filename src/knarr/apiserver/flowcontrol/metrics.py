"""What `/metrics` tells of priority and fairness (`apiserver_flowcontrol_…`).

Source: k8s.io/apiserver/pkg/util/flowcontrol/metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from knarr.apiserver.flowcontrol.levels import Level
from knarr.component_base.http import Seats, Tally
from knarr.component_base.metrics import BETA, About, Counter, Family, Gauge, Histogram, Looked, Sample

_FLOW = ("priority_level", "flow_schema")
#: Priority level and flow schema.
Labels: TypeAlias = tuple[str, str]
_WAITS = (0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
#: Why a request was turned away.
FULL, LATE, BUSY = "queue-full", "time-out", "concurrency-limit"


class FlowMetrics:
    """Requests of each flow schema: those that wait or were turned away. Those that are let in count themselves."""

    def __init__(self) -> None:
        self.waiting = Gauge(
            About(
                "apiserver_flowcontrol_current_inqueue_requests",
                "Number of requests currently pending in queues of the API Priority and Fairness subsystem",
                _FLOW,
                BETA,
            )
        )
        self.rejected = Counter(
            About(
                "apiserver_flowcontrol_rejected_requests_total",
                "Number of requests rejected by API Priority and Fairness subsystem",
                (*_FLOW, "reason"),
                BETA,
            )
        )
        self.waited = Histogram(
            About(
                "apiserver_flowcontrol_request_wait_duration_seconds",
                "Length of time a request spent waiting in its queue",
                (*_FLOW, "execute"),
                BETA,
            ),
            _WAITS,
        )

    def families(self, levels: Callable[[], Iterable[Level]], tallies: Mapping[Labels, Tally]) -> list[Family]:
        """All of them, with the limits of the levels in force."""
        return [
            self.waiting,
            Looked(_RUNNING, lambda: [(labels, tally.running) for labels, tally in tallies.items()]),
            Looked(_DISPATCHED, lambda: [(labels, tally.dispatched) for labels, tally in tallies.items()], "counter"),
            self.rejected,
            self.waited,
            Looked(_LIMIT, lambda: _limits(levels())),
        ]


def reason(level: Seats, seconds: float) -> str:
    """Why a level that let nobody in after so many seconds did not."""
    if not level.queued:
        return BUSY
    return LATE if seconds > 1 else FULL


def _limits(levels: Iterable[Level]) -> list[Sample]:
    """Exempt levels have no seats: they need none."""
    return [((level.name,), level.limit or 0) for level in levels]


_LIMIT = About(
    "apiserver_flowcontrol_nominal_limit_seats",
    "Nominal number of execution seats configured for each priority level",
    ("priority_level",),
    BETA,
)
_RUNNING = About(
    "apiserver_flowcontrol_current_executing_requests",
    "Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and "
    "Fairness subsystem",
    _FLOW,
    BETA,
)
_DISPATCHED = About(
    "apiserver_flowcontrol_dispatched_requests_total",
    "Number of requests executed by API Priority and Fairness subsystem",
    _FLOW,
    BETA,
)
