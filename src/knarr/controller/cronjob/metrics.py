"""How late the Jobs of CronJobs are made."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.resources import Resource
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import STABLE, About, Family, Histogram, exponential
from knarr.controller_runtime.changes import Create
from knarr.controller_runtime.observing import Ended
from knarr.controller_runtime.snapshot import Snapshot

#: The annotation that tells which start a Job was made for.
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class CronJobMetrics:
    """`cronjob_controller_…`."""

    def __init__(self) -> None:
        self._skew = Histogram(
            About(
                "cronjob_controller_job_creation_skew_duration_seconds",
                "Time between when a cronjob is scheduled to be run, and when the corresponding job is created",
                level=STABLE,
            ),
            exponential(1, 2, 10),
        )

    def changed(self, resource: Resource, old: Object | None, new: Object | None, snapshot: Snapshot) -> None:
        """As `Observer`: nothing is counted."""

    def ended(self, ended: Ended) -> None:
        """As `Observer`."""
        for change in ended.result.changes:
            if isinstance(change, Create) and not ended.failed:
                start = timestamps.parse(change.object["metadata"]["annotations"][SCHEDULED])
                self._skew.observe(max(0.0, (ended.now - start).total_seconds()))

    def families(self) -> Sequence[Family]:
        """As `Observer`."""
        return (self._skew,)
