"""Counts every pod of a Job exactly once, whatever breaks off in between.

1. The uid of a pod that has ended is written to `status.uncountedTerminatedPods` while the pod still has its finalizer.
2. Then the finalizer is removed.
3. A uid whose pod has no finalizer any more moves from the uncounted ones to the counters, in one write.

Successes of an indexed Job need no uid: an index is done once. Each round does what the present state allows, and the
next one goes on from whatever became of it. Source: KEP-2307.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from knarr.api.semantics import conditions, pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.job import failure_policy, intervals, pods, verdict
from knarr.controller.job.facts import Facts, is_indexed, limits_indexes, true_condition
from knarr.controller.job.manage import Managed, release
from knarr.controller_runtime.changes import Change

#: Pods that are uncounted at a time: their uids stand in the status.
_MOST_UNCOUNTED = 500


@dataclass(slots=True)
class Tracked:
    """The status to be written, and then the pods to let go. `final` is the condition that has ended the Job now."""

    status: Object
    released: list[Change] = field(default_factory=list)
    final: Object | None = None


def track(facts: Facts, managed: Managed, ending: Object | None) -> Tracked:
    """The next step of counting. `ending` is the interim condition of a Job that is to end."""
    status = {**facts.status, "uncountedTerminatedPods": _still_uncounted(facts)}
    tracked = Tracked(_with_counted(facts, status))
    is_full = _collect(facts, tracked, ending)
    status["ready"], status["terminating"] = managed.ready, managed.terminating
    _set_or_drop(status, "active", managed.active)
    if is_indexed(facts.job):
        _set_indexes(facts, status)
    if ending is not None:
        _end(facts, tracked, ending, is_waiting=is_full or managed.terminating > 0)
    return tracked


def _still_uncounted(facts: Facts) -> Object:
    tracked = {pod["metadata"]["uid"] for pod in facts.pods if pods.is_tracked(pod)}
    return {
        kind: [uid for uid in facts.uncounted.get(kind) or () if uid in tracked] for kind in ("succeeded", "failed")
    }


def _with_counted(facts: Facts, status: Object) -> Object:
    for kind in ("succeeded", "failed"):
        counted = len(facts.uncounted.get(kind) or ()) - len(status["uncountedTerminatedPods"][kind])
        _set_or_drop(status, kind, int(facts.status.get(kind) or 0) + counted)
    return status


def _collect(facts: Facts, tracked: Tracked, ending: Object | None) -> bool:
    """Note the pods that have ended; whether there are more than can be noted."""
    uncounted = tracked.status["uncountedTerminatedPods"]
    known = {kind: frozenset(facts.uncounted.get(kind) or ()) for kind in uncounted}
    for pod in pods.by_index(facts.pods) if is_indexed(facts.job) else facts.pods:
        if not pods.is_tracked(pod) or not _may_go(facts, pod, ending):
            continue
        kind, uid = _kind(facts, pod, ending), pod["metadata"]["uid"]
        # One that is let go uncounted must not have ended meanwhile.
        tracked.released.append(release(pod, unchanged=not kind and not pod_state.is_terminal(pod)))
        if kind and uid not in known["succeeded"] and uid not in known["failed"]:
            uncounted[kind].append(uid)
        if len(tracked.released) >= _MOST_UNCOUNTED or sum(map(len, uncounted.values())) >= _MOST_UNCOUNTED:
            return True
    return False


def _may_go(facts: Facts, pod: Object, ending: Object | None) -> bool:
    if facts.job["metadata"].get("deletionTimestamp") or pods.has_succeeded(pod):
        return True
    if ending is not None:
        # Those that are given up in this very round are looked at when they are.
        return not pod_state.is_active(pod)
    if not pods.has_failed(pod, facts.job):
        return False
    waiting = facts.awaiting_replacement.get(pods.index(pod) or 0)
    return waiting is None or waiting["metadata"]["uid"] != pod["metadata"]["uid"]


def _kind(facts: Facts, pod: Object, ending: Object | None) -> str:
    """Which counter a pod that is let go belongs to by its uid; empty for none."""
    if pods.has_succeeded(pod):
        return "" if is_indexed(facts.job) else "succeeded"
    # All that a failing Job still had is a failure.
    fails = pods.has_failed(pod, facts.job) or (ending is not None and ending["type"] == verdict.FAILURE)
    counts = fails and facts.has_place(pod) and failure_policy.judge(facts.job, pod).counts
    return "failed" if counts else ""


def _set_indexes(facts: Facts, status: Object) -> None:
    _set_or_drop(status, "succeeded", intervals.total(facts.succeeded_indexes))
    _set_or_drop(status, "completedIndexes", intervals.text(facts.succeeded_indexes))
    if limits_indexes(facts.job):
        status["failedIndexes"] = intervals.text(facts.failed_indexes)


def _set_or_drop(status: Object, name: str, value: int | str) -> None:
    """Nothing and zero are left out, as the API does."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def _end(facts: Facts, tracked: Tracked, ending: Object, *, is_waiting: bool) -> None:
    """Write the interim condition, and when it stands and nothing is left the final one."""
    status = tracked.status
    known: Iterable[Object] = status.get("conditions") or ()
    if true_condition(facts.job, ending["type"]) is None:
        status["conditions"] = [*known, ending]
        return
    if is_waiting or tracked.released or any(status["uncountedTerminatedPods"].values()):
        return
    kind = verdict.FINAL[ending["type"]]
    final = verdict.condition(kind, ending.get("reason", ""), ending.get("message", ""), facts.now)
    status["conditions"] = conditions.replaced(list(known), final)
    if kind == "Complete":
        status["completionTime"] = timestamps.seconds(facts.now)
    tracked.final = final


def shown(uncounted: Object) -> Object:
    """The uncounted ones as the API writes them: empty lists are left out."""
    return {kind: uids for kind, uids in uncounted.items() if uids}
