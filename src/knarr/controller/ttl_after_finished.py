"""Deletes Jobs some time after they have ended: `spec.ttlSecondsAfterFinished`.

Input: a Job, the moment. Output: when to look again, or its deletion, of exactly the state that a live read has shown:
the time to live may just have been raised. A Job that ended in the future (clocks differ) waits until then and longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from knarr.api.registry import JOBS
from knarr.api.resources import Resource
from knarr.api.semantics.jobs import finished_condition
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About, Family, Histogram, exponential
from knarr.controller_runtime.changes import DONE, Context, Delete, Read, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.observing import Ended
from knarr.controller_runtime.snapshot import Key, Snapshot

#: Seconds after which a Job that lives long is looked at again.
_LONGEST = 86400.0


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Delete a Job whose time is over."""
    left = _seconds_left(snapshot.get(*key), context.now)
    if left is None:
        return DONE
    if left > 0:
        return Result(requeue_after=min(left, _LONGEST))
    read = Read(*key)
    if read not in context.live:
        return Result(reads=(read,))
    live = context.live[read]
    left = _seconds_left(live, context.now)
    if live is None or left is None:
        return DONE
    if left > 0:
        return Result(requeue_after=min(left, _LONGEST))
    meta = live["metadata"]
    version = meta.get("resourceVersion", "")
    uid = meta["uid"]
    return Result((Delete(JOBS, key.namespace, key.name, uid, "Foreground", resource_version=version),))


def _seconds_left(job: Object | None, now: datetime) -> float | None:
    """Seconds until a Job may go; None for one that stays."""
    if job is None or job["metadata"].get("deletionTimestamp"):
        return None
    seconds, ended = job["spec"].get("ttlSecondsAfterFinished"), finished_condition(job)
    if seconds is None or ended is None or not ended.get("lastTransitionTime"):
        return None
    return float(seconds - (now - timestamps.parse(ended["lastTransitionTime"])).total_seconds())


class TtlMetrics:
    """How late Jobs are deleted."""

    def __init__(self) -> None:
        self._late = Histogram(
            About(
                "ttl_after_finished_controller_job_deletion_duration_seconds",
                "The time it took to delete the job since it became eligible for deletion",
            ),
            exponential(0.1, 2, 14),
        )

    def changed(self, resource: Resource, old: Object | None, new: Object | None, snapshot: Snapshot) -> None:
        """As `Observer`: nothing is counted."""

    def ended(self, ended: Ended) -> None:
        """As `Observer`."""
        if ended.failed or not ended.result.changes:
            return
        job = ended.snapshot.get(*ended.key)
        left = _seconds_left({**job, "metadata": {}}, ended.now) if job is not None else None
        if left is not None:
            self._late.observe(max(0.0, -left))

    def families(self) -> Sequence[Family]:
        """As `Observer`."""
        return (self._late,)


CONTROLLER = Controller(
    name="ttl-after-finished-controller",
    resource=JOBS,
    watches=(Watch(JOBS, itself(JOBS)),),
    writes=("delete jobs",),
    reconcile=reconcile,
    queue="ttl_jobs_to_delete",
    observer=TtlMetrics,
)
