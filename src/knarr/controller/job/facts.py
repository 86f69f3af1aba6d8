"""What one round knows of a Job before it decides: its pods by what has become of them, and how many have ended.

Input: a Job, the pods it holds, the moment. Output: counts and sets that all later steps share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from knarr.api.semantics import conditions, pod_state
from knarr.apimachinery.types import Object
from knarr.controller.job import failure_policy, intervals, pods
from knarr.controller.job.intervals import Intervals


def is_indexed(job: Object) -> bool:
    """Whether each completion has an index."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_suspended(job: Object) -> bool:
    """Whether the Job must not have pods for now."""
    return bool(job["spec"].get("suspend"))


def limits_indexes(job: Object) -> bool:
    """Whether each index has a back-off limit of its own."""
    return is_indexed(job) and job["spec"].get("backoffLimitPerIndex") is not None


def true_condition(job: Object, kind: str) -> Object | None:
    """A condition of the Job that is true, or None."""
    found = conditions.find(job, kind)
    return found if found is not None and found.get("status") == "True" else None


@dataclass(frozen=True)
class Facts:
    """A Job and its pods at one moment."""

    job: Object
    pods: Sequence[Object]
    now: datetime

    @property
    def spec(self) -> Object:
        """The Job's spec."""
        spec: Object = self.job["spec"]
        return spec

    @cached_property
    def status(self) -> Object:
        """The Job's status as it is."""
        return self.job.get("status") or {}

    @cached_property
    def uncounted(self) -> Object:
        """Uids of pods that have ended and are not in the counters yet: `succeeded` and `failed`."""
        return self.status.get("uncountedTerminatedPods") or {}

    @cached_property
    def active(self) -> Sequence[Object]:
        """Pods that run or will."""
        return [pod for pod in self.pods if pod_state.is_active(pod)]

    @cached_property
    def terminating(self) -> Sequence[Object]:
        """Pods that are deleted and have not ended."""
        return [pod for pod in self.pods if pod_state.is_terminating(pod)]

    @property
    def ready(self) -> int:
        """How many active pods are ready."""
        return sum(pod_state.is_ready(pod) for pod in self.active)

    @cached_property
    def newly_failed(self) -> Sequence[Object]:
        """Failed pods that neither the counters nor the uncounted ones include."""
        return self._new("failed", lambda pod: pods.has_failed(pod, self.job))

    @cached_property
    def failed(self) -> int:
        """Failures that count, known or new."""
        new = sum(failure_policy.judge(self.job, pod).counts for pod in self.newly_failed)
        return int(self.status.get("failed") or 0) + len(self.uncounted.get("failed") or ()) + new

    @cached_property
    def succeeded(self) -> int:
        """Successes, known or new; of an indexed Job the indexes that are done."""
        if is_indexed(self.job):
            return intervals.total(self.succeeded_indexes)
        known = int(self.status.get("succeeded") or 0) + len(self.uncounted.get("succeeded") or ())
        return known + len(self._new("succeeded", pods.has_succeeded))

    def _new(self, kind: str, is_such: Callable[[Object], bool]) -> Sequence[Object]:
        known = frozenset(self.uncounted.get(kind) or ())
        return [
            pod
            for pod in self.pods
            if pods.is_tracked(pod) and pod["metadata"]["uid"] not in known and self.has_place(pod) and is_such(pod)
        ]

    # Indexes

    @property
    def completions(self) -> int:
        """How many indexes an indexed Job has."""
        return int(self.spec.get("completions") or 0)

    def has_place(self, pod: Object) -> bool:
        """Whether the pod can count: those of an indexed Job need an index that the Job has."""
        if not is_indexed(self.job):
            return True
        index = pods.index(pod)
        return index is not None and index < self.completions

    @cached_property
    def succeeded_indexes(self) -> Intervals:
        """Indexes that are done, known or new."""
        new = [pods.index(pod) for pod in self.pods if pods.is_tracked(pod) and pods.has_succeeded(pod)]
        known = intervals.parse(self.status.get("completedIndexes"), self.completions)
        return intervals.union(known, intervals.of(self._valid(new)))

    @cached_property
    def failed_indexes(self) -> Intervals:
        """Indexes that have used up their back-off limit, known or new.

        None is added to those of a Job that ends: the pods that it gives up fail for another reason.
        """
        known = intervals.parse(self.status.get("failedIndexes"), self.completions)
        if any(true_condition(self.job, kind) is not None for kind in ("SuccessCriteriaMet", "FailureTarget")):
            return known
        new = [pods.index(pod) for pod in self.pods if pods.is_tracked(pod) and self._fails_index(pod)]
        return intervals.union(known, intervals.of(self._valid(new)))

    def _valid(self, indexes: Sequence[int | None]) -> list[int]:
        return [index for index in indexes if index is not None and index < self.completions]

    def _fails_index(self, pod: Object) -> bool:
        if not pods.has_failed(pod, self.job):
            return False
        judgement = failure_policy.judge(self.job, pod)
        if judgement.action == "FailIndex":
            return True
        return judgement.counts and pods.failures(pod) >= self.spec["backoffLimitPerIndex"]

    def indexes_of(self, found: Sequence[Object]) -> Intervals:
        """The indexes that some pods have."""
        return intervals.of(index for pod in found if (index := pods.index(pod)) is not None)

    @cached_property
    def awaiting_replacement(self) -> dict[int, Object]:
        """By index the failed pod that must stay until its replacement exists, which inherits its count of failures."""
        if not limits_indexes(self.job):
            return {}
        settled = intervals.union(self.succeeded_indexes, self.failed_indexes, self.indexes_of(self.active))
        out: dict[int, Object] = {}
        for pod in self.pods:
            index = pods.index(pod)
            if index is None or not (pods.is_tracked(pod) and self.has_place(pod) and pods.has_failed(pod, self.job)):
                continue
            if not intervals.has(settled, index) and (index not in out or _is_later(pod, out[index])):
                out[index] = pod
        return out


def _is_later(pod: Object, other: Object) -> bool:
    counts = [pods.failures(each) + pods.ignored_failures(each) for each in (pod, other)]
    return counts[0] >= counts[1] and pods.finished_at(pod) >= pods.finished_at(other)
