"""What is counted of Jobs: how they and their pods end, and the rounds that see to it.

Source of names and texts: pkg/controller/job/metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from knarr.api.registry import JOBS, PODS
from knarr.api.resources import Resource
from knarr.api.semantics import owners, pod_state
from knarr.api.semantics.jobs import finished_condition
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import ALPHA, BETA, STABLE, About, Counter, Family, Histogram, exponential
from knarr.controller.job import failure_policy, intervals, orphans, pods
from knarr.controller.job.facts import is_indexed, limits_indexes
from knarr.controller_runtime.changes import Create, Delete
from knarr.controller_runtime.observing import Ended
from knarr.controller_runtime.snapshot import Snapshot

_SYNC = ("completion_mode", "result", "action")


def _about(name: str, text: str, labels: tuple[str, ...], level: str) -> About:
    return About(f"job_controller_{name}", text, labels, level)


class JobMetrics:
    """`job_controller_…`."""

    def __init__(self) -> None:
        mode = "completion_mode"
        syncs = _about("job_sync_duration_seconds", "The time it took to sync a job", _SYNC, STABLE)
        self._seconds = Histogram(syncs, exponential(0.004, 2, 15))
        self._syncs = Counter(_about("job_syncs_total", "The number of job syncs", _SYNC, STABLE))
        text = "The number of finished jobs"
        self._jobs = Counter(_about("jobs_finished_total", text, (mode, "result", "reason"), STABLE))
        text = "The number of finished Pods that are fully tracked"
        self._pods = Counter(_about("job_pods_finished_total", text, (mode, "result"), STABLE))
        text = "The number of finished indexes, by their status and by whose back-off limit counts."
        self._indexes = Counter(_about("job_finished_indexes_total", text, ("status", "backoffLimit"), ALPHA))
        text = (
            "The number of terminated pods that have the finalizer batch.kubernetes.io/job-tracking, added and deleted."
        )
        self._tracked = Counter(_about("terminated_pods_tracking_finalizer_total", text, ("event",), BETA))
        text = "The number of failed Pods handled by failure policy, by the action of the rule that matched."
        self._handled = Counter(_about("pod_failures_handled_by_failure_policy_total", text, ("action",), BETA))
        text = "The number of Jobs managed by an external controller"
        self._external = Counter(_about("jobs_by_external_controller_total", text, ("controller_name",), ALPHA))
        text = "The number of Pods created by the Job controller, by the reason and the status of the creation."
        self._created = Counter(_about("job_pods_creation_total", text, ("reason", "status"), ALPHA))

    def families(self) -> Sequence[Family]:
        """As `Observer`."""
        jobs = (self._seconds, self._syncs, self._jobs, self._external)
        return (*jobs, self._pods, self._indexes, self._tracked, self._handled, self._created)

    def ended(self, ended: Ended) -> None:
        """As `Observer`."""
        job = ended.snapshot.get(*ended.key) if ended.key.resource is JOBS else None
        if job is None or not orphans.is_managed(job):
            return
        key = (_mode(job), "error" if ended.failed else "success", _action(ended))
        self._syncs.add(key)
        self._seconds.observe(ended.seconds, key)
        made = sum(isinstance(change, Create) for change in ended.result.changes)
        if made:
            # Of a round that failed, what was made before is not known here.
            status, count = ("failed", 1) if ended.failed else ("succeeded", made)
            self._created.add((_reason(job), status), count)

    def changed(self, resource: Resource, old: Object | None, new: Object | None, snapshot: Snapshot) -> None:
        """As `Observer`."""
        if resource is PODS:
            self._pod_changed(old, new, snapshot)
        elif old is None and new is not None and not orphans.is_managed(new):
            self._external.add((new["spec"]["managedBy"],))
        elif old is not None and new is not None and orphans.is_managed(new):
            self._job_changed(old, new)

    def _pod_changed(self, old: Object | None, new: Object | None, snapshot: Snapshot) -> None:
        before, after = _awaits_release(old), _awaits_release(new)
        if before != after:
            self._tracked.add(("add" if after else "delete",))
        if old is None or new is None or not before or after or pod_state.phase(new) != "Failed":
            return
        owner = owners.controller_of(new)
        job = snapshot.get(JOBS, new["metadata"]["namespace"], owner["name"]) if owner is not None else None
        action = failure_policy.judge(job, new).action if job is not None else ""
        if action:
            self._handled.add((action,))

    def _job_changed(self, old: Object, new: Object) -> None:
        before, after = old.get("status") or {}, new.get("status") or {}
        if before == after:
            return
        end = finished_condition(new)
        if end is not None and finished_condition(old) is None:
            result = "succeeded" if end["type"] == "Complete" else "failed"
            self._jobs.add((_mode(new), result, end.get("reason", "")))
        for result in ("succeeded", "failed"):
            _grow(self._pods, (_mode(new), result), before.get(result), after.get(result))
        if is_indexed(new):
            limit = "perIndex" if limits_indexes(new) else "global"
            for result, name in (("succeeded", "completedIndexes"), ("failed", "failedIndexes")):
                counts = [_count(status.get(name), new) for status in (before, after)]
                _grow(self._indexes, (result, limit), *counts)


def _grow(counter: Counter, key: tuple[str, ...], before: int | None, after: int | None) -> None:
    """Count by how much a number has grown; one of an elastic Job may become less, a counter does not."""
    grown = (after or 0) - (before or 0)
    if grown > 0:
        counter.add(key, grown)


def _count(text: str | None, job: Object) -> int:
    return intervals.total(intervals.parse(text, job["spec"].get("completions") or 0))


def _awaits_release(pod: Object | None) -> bool:
    """Whether the pod has ended and still has the finalizer."""
    return pod is not None and pod_state.is_terminal(pod) and pods.is_tracked(pod)


def _mode(job: Object) -> str:
    return "Indexed" if is_indexed(job) else "NonIndexed"


def _action(ended: Ended) -> str:
    kinds: Iterable[type] = {type(change) for change in ended.result.changes}
    if Create in kinds:
        return "pods_created"
    return "pods_deleted" if Delete in kinds else "tracking"


def _reason(job: Object) -> str:
    status = job.get("status") or {}
    if job["spec"].get("podReplacementPolicy") == "Failed":
        return "recreate_failed" if status.get("failed") else "new"
    return "recreate_terminating_or_failed" if status.get("failed") or status.get("terminating") else "new"
