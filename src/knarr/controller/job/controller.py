"""Jobs: one round of one Job, and of a pod that has lost its Job.

Input: a Job, the pods it has or could adopt. Output: pods to create, delete or let go, and the Job's status. Between
rounds nothing is remembered: a round may end anywhere, and the next one decides on what is there.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import JOBS, PODS
from knarr.api.semantics import conditions, owners
from knarr.api.semantics.jobs import is_finished
from knarr.apimachinery import labels, timestamps
from knarr.apimachinery.types import Object
from knarr.controller.job import manage, orphans, pods, tracking, verdict
from knarr.controller.job.facts import Facts, is_suspended
from knarr.controller.job.manage import Managed
from knarr.controller.job.metrics import JobMetrics
from knarr.controller.job.tracking import Tracked
from knarr.controller_runtime.changes import DONE, Change, Context, Create, Delete, EventNote, Failure, Result, Update
from knarr.controller_runtime.claims import Owner, claim
from knarr.controller_runtime.controller import Controller, Watch, controller_of_changed, key_of
from knarr.controller_runtime.snapshot import OWNER, Key, Snapshot

_MODES = (None, "NonIndexed", "Indexed")


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a Job, or let go a pod that has none."""
    if key.resource is PODS:
        return orphans.reconcile(key, snapshot, context)
    job = snapshot.get(*key)
    if job is None or not orphans.is_managed(job):
        return DONE
    if is_finished(job):
        return Result(tuple(manage.release(pod) for pod in _owned(job, snapshot) if pods.is_tracked(pod)))
    if job["spec"].get("completionMode") not in _MODES:
        message = "Skipped Job sync because completion mode is unknown"
        return Result(events=(EventNote(job, "Warning", "UnknownCompletionMode", message),))
    if job["metadata"].get("deletionTimestamp"):
        # Those that it selects no more are let go as well: with the Job nobody would.
        return _step(Facts(job, _owned(job, snapshot), context.now), context)
    owner = Owner(JOBS, job, labels.from_object(job["spec"].get("selector")), pods.TRACKING)
    claims = claim(owner, PODS, snapshot, context)
    if claims.reads:
        return Result(reads=claims.reads)
    if claims.changes:
        return Result(claims.changes, requeue_after=0)
    return _step(Facts(job, claims.held, context.now), context)


def _owned(job: Object, snapshot: Snapshot) -> list[Object]:
    found = snapshot.indexed(PODS, OWNER, job["metadata"]["uid"])
    return [pod for pod in found if owners.is_controlled_by(pod, job)]


def _step(facts: Facts, context: Context) -> Result:
    ending = verdict.reached(facts)
    managed = manage.as_is(facts)
    if ending is not None:
        managed = manage.give_up_all(facts)
    elif not facts.job["metadata"].get("deletionTimestamp"):
        managed = manage.manage(facts, context.names)
        if _is_complete(facts, managed):
            ending = verdict.complete(facts.now)
    return _finish(facts, context, managed, ending)


def _is_complete(facts: Facts, managed: Managed) -> bool:
    completions = facts.spec.get("completions")
    enough = facts.succeeded > 0 if completions is None else facts.succeeded >= completions
    return enough and not managed.active


def _finish(facts: Facts, context: Context, managed: Managed, ending: Object | None) -> Result:
    failed = _own_failure(context.failure)
    # After a failure the status tells what is, and does not wait behind a change that may fail again.
    tracked = tracking.track(facts, manage.as_is(facts) if failed else managed, None if failed else ending)
    events = _start_and_suspend(facts, tracked, ending)
    if tracked.final is not None:
        events += _end_events(facts, tracked.final)
    written = _write_status(facts, tracked.status, events[0] if events else None)
    if failed:
        order: tuple[Change, ...] = (*written, *tracked.released, *managed.changes)
    else:
        order = (*managed.changes, *written, *tracked.released)
    return Result(order, tuple(events[1:]), requeue_after=_next_look(facts, managed, tracked, ending))


def _own_failure(failure: Failure | None) -> bool:
    """Whether pods could not be created or deleted in the last round."""
    return failure is not None and isinstance(failure.change, Create | Delete) and failure.reason != "Conflict"


def _next_look(facts: Facts, managed: Managed, tracked: Tracked, ending: Object | None) -> float | None:
    """Seconds until the next round, unless something happens before."""
    if tracked.released or (ending is not None and tracked.final is None and not tracked.status.get("terminating")):
        return 0
    left = verdict.seconds_left(facts) if ending is None else None
    waits = [wait for wait in (managed.wait, left) if wait is not None]
    return max(0.0, min(waits)) if waits else None


# Status


def _start_and_suspend(facts: Facts, tracked: Tracked, ending: Object | None) -> list[EventNote]:
    """When the Job began, and the condition `Suspended`."""
    status, now = tracked.status, timestamps.seconds(facts.now)
    suspended = is_suspended(facts.job)
    if not status.get("startTime") and not suspended:
        status["startTime"] = now
    going = facts.job["metadata"].get("deletionTimestamp")
    known = conditions.find(facts.job, "Suspended")
    if ending is not None or going or (known is None and not suspended):
        return []
    if known is not None and (known.get("status") == "True") == suspended:
        return []
    word = "Suspended" if suspended else "Resumed"
    found = verdict.condition(
        "Suspended", f"Job{word}", f"Job {word.lower()}", facts.now, status="True" if suspended else "False"
    )
    status["conditions"] = conditions.replaced(status.get("conditions") or (), found)
    if suspended:
        status.pop("startTime", None)
    else:
        # The deadline counts anew.
        status["startTime"] = now
    return [EventNote(facts.job, "Normal", word, f"Job {word.lower()}")]


def _end_events(facts: Facts, final: Object) -> list[EventNote]:
    if final["type"] == "Failed":
        return [EventNote(facts.job, "Warning", final["reason"], final["message"])]
    events = [EventNote(facts.job, "Normal", "Completed", "Job completed")]
    completions = facts.spec.get("completions")
    if completions is not None and facts.succeeded > completions:
        message = "Too many succeeded pods running after completion count reached"
        events.append(EventNote(facts.job, "Warning", "TooManySucceededPods", message))
    return events


def _write_status(facts: Facts, status: Object, done: EventNote | None) -> tuple[Change, ...]:
    new = {**status, "uncountedTerminatedPods": tracking.shown(status["uncountedTerminatedPods"])}
    if new == facts.status:
        return ()
    return (Update(JOBS, {**facts.job, "status": new}, "status", done),)


# Whom changes wake


def _of_job(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    if new is not None:
        return [key_of(JOBS, new)]
    gone = old or {}
    left = snapshot.indexed(PODS, OWNER, gone["metadata"].get("uid", ""))
    return [key_of(JOBS, gone), *(key_of(PODS, pod) for pod in left if pods.is_tracked(pod))]


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    keys = set(controller_of_changed(JOBS)(old, new, snapshot))
    if new is None:
        return keys
    owner = owners.controller_of(new)
    if owner is None and not _same_claims(old, new):
        keys.update(_could_adopt(new, snapshot))
    if pods.is_tracked(new) and (owner is None or _is_lost(owner, new, snapshot)):
        keys.add(key_of(PODS, new))
    return keys


def _is_lost(owner: Object, pod: Object, snapshot: Snapshot) -> bool:
    """Whether the pod names a Job that is not there."""
    if owner.get("kind") != JOBS.kind:
        return False
    job = snapshot.get(JOBS, pod["metadata"]["namespace"], owner["name"])
    return job is None or job["metadata"].get("uid") != owner.get("uid")


def _same_claims(old: Object | None, new: Object) -> bool:
    """Whether a pod without a controller had none before and the same labels."""
    if old is None or owners.controller_of(old) is not None:
        return False
    return bool(old["metadata"].get("labels") == new["metadata"].get("labels"))


def _could_adopt(pod: Object, snapshot: Snapshot) -> Iterable[Key]:
    meta = pod["metadata"]
    for job in snapshot.list(JOBS, meta.get("namespace", "")):
        if not is_finished(job) and labels.from_object(job["spec"].get("selector")).matches(meta.get("labels")):
            yield key_of(JOBS, job)


CONTROLLER = Controller(
    name="job-controller",
    resource=JOBS,
    watches=(Watch(JOBS, _of_job), Watch(PODS, _of_pod)),
    writes=("create, delete, patch pods", "update jobs/status"),
    reconcile=reconcile,
    queue="job",
    observer=JobMetrics,
)
