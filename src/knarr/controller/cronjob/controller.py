"""CronJobs: one round of one CronJob.

Input: a CronJob and its Jobs. Output: a Job for a start that is due, Jobs to delete, and the status. The name of a Job
follows from its start, so that a start is made once; a Job that was made and is not in the status yet tells its start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from knarr.api.registry import CRONJOBS, JOBS
from knarr.api.semantics import owners
from knarr.api.semantics.jobs import finished_condition
from knarr.apimachinery import timestamps
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.controller.cronjob import missed
from knarr.controller.cronjob.metrics import SCHEDULED, CronJobMetrics
from knarr.controller.cronjob.schedule import Schedule, Unparseable, parse
from knarr.controller_runtime.changes import (
    DONE,
    Change,
    Context,
    Create,
    Delete,
    EventNote,
    Failure,
    Read,
    Result,
    Update,
)
from knarr.controller_runtime.controller import Controller, Watch, controller_of_changed, key_of
from knarr.controller_runtime.snapshot import OWNER, Key, Snapshot

_DOCS = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"


@dataclass(slots=True)
class _Draft:
    """A CronJob in the making: its status, and what is done about its Jobs."""

    cron_job: Object
    jobs: Sequence[Object]
    now: datetime
    status: Object
    active: list[Object]
    events: list[EventNote] = field(default_factory=list)
    replaced: list[Change] = field(default_factory=list)
    created: list[Change] = field(default_factory=list)
    wait: float | None = None

    @property
    def spec(self) -> Object:
        """The CronJob's spec."""
        spec: Object = self.cron_job["spec"]
        return spec

    def note(self, kind: str, reason: str, message: str) -> None:
        """Tell what has happened."""
        self.events.append(EventNote(self.cron_job, kind, reason, message))


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Start what is due, and keep the status and the history of a CronJob."""
    cron_job = snapshot.get(CRONJOBS, key.namespace, key.name)
    if cron_job is None:
        return DONE
    if key.resource is not CRONJOBS and not context.delayed:
        return _retime(cron_job, context.now)
    owned = snapshot.indexed(JOBS, OWNER, cron_job["metadata"]["uid"])
    jobs = [job for job in owned if owners.is_controlled_by(job, cron_job)]
    status: Object = dict(cron_job.get("status") or {})
    draft = _Draft(cron_job, jobs, context.now, status, list(status.get("active") or ()))
    reads = _missing(draft, context)
    if reads:
        return Result(reads=reads)
    _note_ended(draft)
    _take_up(draft)
    if not cron_job["metadata"].get("deletionTimestamp"):
        _start(draft, context.failure)
        _note_strangers(draft)
    changes = (*draft.replaced, *_write_status(draft), *draft.created, *_old_jobs(draft))
    return Result(changes, tuple(draft.events), requeue_after=draft.wait)


# What has become of the Jobs


def _missing(draft: _Draft, context: Context) -> tuple[Read, ...]:
    """Forget active Jobs that are gone; what must be read first to know that."""
    children = {job["metadata"]["uid"] for job in draft.jobs}
    absent = [ref for ref in draft.active if ref.get("uid") not in children]
    reads = {ref["uid"]: Read(JOBS, ref["namespace"], ref["name"]) for ref in absent}
    unread = tuple(dict.fromkeys(read for read in reads.values() if read not in context.live))
    if unread:
        return unread
    for ref in absent:
        if context.live[reads[ref["uid"]]] is None:
            draft.note("Normal", "MissingJob", f"Active job went missing: {ref['name']}")
            draft.active.remove(ref)
    return ()


def _note_ended(draft: _Draft) -> None:
    for job in draft.jobs:
        ended, meta = finished_condition(job), job["metadata"]
        if ended is None:
            continue
        if any(ref.get("uid") == meta["uid"] for ref in draft.active):
            _forget(draft, meta["uid"])
            draft.note("Normal", "SawCompletedJob", f"Saw completed job: {meta['name']}, condition: {ended['type']}")
        at = (job.get("status") or {}).get("completionTime")
        if ended["type"] == "Complete" and at and at > draft.status.get("lastSuccessfulTime", ""):
            draft.status["lastSuccessfulTime"] = at


def _take_up(draft: _Draft) -> None:
    """Note Jobs that were made and are not in the status yet."""
    known = {ref.get("uid") for ref in draft.active}
    for job in draft.jobs:
        meta = job["metadata"]
        start = _start_of(draft.cron_job, job)
        if start is None or meta.get("deletionTimestamp"):
            continue
        draft.status["lastScheduleTime"] = max(start, draft.status.get("lastScheduleTime", ""))
        if meta["uid"] not in known and finished_condition(job) is None:
            draft.active.append(_reference(job))


def _start_of(cron_job: Object, job: Object) -> str | None:
    """The start that a Job was made for, or None for one that was made otherwise."""
    text = (job["metadata"].get("annotations") or {}).get(SCHEDULED, "")
    try:
        start = timestamps.parse(text)
    except ValueError:
        return None
    return timestamps.seconds(start) if job["metadata"]["name"] == _job_name(cron_job, start) else None


def _note_strangers(draft: _Draft) -> None:
    known = {ref.get("uid") for ref in draft.active}
    replaced = {change.uid for change in draft.replaced if isinstance(change, Delete)}
    for job in draft.jobs:
        meta = job["metadata"]
        if meta["uid"] in known | replaced or meta.get("deletionTimestamp") or finished_condition(job) is not None:
            continue
        message = f"Saw a job that the controller did not create or forgot: {meta['name']}"
        draft.note("Warning", "UnexpectedJob", message)


def _forget(draft: _Draft, uid: str) -> None:
    draft.active = [ref for ref in draft.active if ref.get("uid") != uid]


def _old_jobs(draft: _Draft) -> list[Change]:
    """Delete the oldest ended Jobs beyond the history that is kept."""
    out: list[Change] = []
    for kind, limit in (
        ("Complete", draft.spec.get("successfulJobsHistoryLimit")),
        ("Failed", draft.spec.get("failedJobsHistoryLimit")),
    ):
        ended = [job for job in draft.jobs if (finished_condition(job) or {}).get("type") == kind]
        ended = [job for job in ended if not job["metadata"].get("deletionTimestamp")]
        if limit is not None:
            out += [_delete(draft, job) for job in sorted(ended, key=_age)[: max(0, len(ended) - limit)]]
    return out


def _age(job: Object) -> tuple[str, str]:
    return (job.get("status") or {}).get("startTime") or "~", job["metadata"]["name"]


def _delete(draft: _Draft, job: Object) -> Delete:
    meta = job["metadata"]
    return Delete(
        JOBS,
        meta["namespace"],
        meta["name"],
        uid=meta["uid"],
        propagation="Background",
        done=EventNote(draft.cron_job, "Normal", "SuccessfulDelete", f"Deleted job {meta['name']}"),
        failed=EventNote(draft.cron_job, "Warning", "FailedDelete", "Deleted job: {error}"),
    )


# The next start


def _start(draft: _Draft, failure: Failure | None) -> None:
    """Make the Job of the start that is due, if any."""
    schedule = _schedule(draft)
    if schedule is None:
        return
    known = {**draft.cron_job, "status": draft.status}
    try:
        due = missed.starts(known, schedule, draft.now, within_deadline=True)
    except missed.NeverFires as error:
        draft.note("Warning", "InvalidSchedule", f"invalid schedule: {draft.spec['schedule']} : {error}")
        return
    draft.wait = missed.seconds_to_next(known, schedule, draft.now)
    if due.latest is None:
        return
    if due.are_many:
        message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        draft.note("Warning", "TooManyMissedTimes", message)
    if not _is_excluded(draft, due.latest):
        _make(draft, due.latest, failure)


def _schedule(draft: _Draft) -> Schedule | None:
    """The schedule of a CronJob that may start Jobs."""
    spec = draft.spec
    zone = zone_of(spec)
    if zone is None:
        name = spec["timeZone"]
        draft.note("Warning", "UnknownTimeZone", f"invalid timeZone: {quote(name)}: unknown time zone {name}")
        return None
    if spec.get("suspend"):
        return None
    text = spec["schedule"]
    if "TZ" in text:
        message = (
            f"CRON_TZ or TZ used in schedule {quote(text)} is not officially supported, see {_DOCS} for more details"
        )
        draft.note("Warning", "UnsupportedSchedule", message)
    try:
        return parse(text, zone)
    except Unparseable as error:
        draft.note("Warning", "UnparseableSchedule", f"unparseable schedule: {quote(text)} : {error}")
        return None


def zone_of(spec: Object) -> tzinfo | None:
    """The time zone of a CronJob's spec, UTC where it names none; None for one that there is not."""
    name = spec.get("timeZone")
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _is_excluded(draft: _Draft, due: datetime) -> bool:
    """Whether nothing is to be made for a start: it is too late, done already, or another Job still runs."""
    deadline = draft.spec.get("startingDeadlineSeconds")
    if deadline is not None and (draft.now - due).total_seconds() > deadline:
        shown = due.strftime("%a, %d %b %Y %H:%M:%S +0000")
        draft.note("Warning", "MissSchedule", f"Missed scheduled time to start a job: {shown}")
        return True
    name = _job_name(draft.cron_job, due)
    if any(ref["name"] == name for ref in draft.active):
        return True
    if draft.status.get("lastScheduleTime") == timestamps.seconds(due):
        return True
    if draft.spec.get("concurrencyPolicy") != "Forbid" or not draft.active:
        return False
    message = "Not starting job because prior execution is running and concurrency policy is Forbid"
    draft.note("Normal", "JobAlreadyActive", message)
    return True


def _make(draft: _Draft, due: datetime, failure: Failure | None) -> None:
    """Make the Job of a start."""
    name = _job_name(draft.cron_job, due)
    if _is_taken(failure, name):
        # Somebody else's Job has the name: this start is left out.
        return
    if draft.spec.get("concurrencyPolicy") == "Replace":
        _replace(draft)
    job = _job(draft.cron_job, due)
    done = EventNote(draft.cron_job, "Normal", "SuccessfulCreate", f"Created job {name}")
    failed = EventNote(draft.cron_job, "Warning", "FailedCreate", "Error creating job: {error}")
    draft.created.append(Create(JOBS, job, done, failed))
    draft.wait = 0


def _is_taken(failure: Failure | None, name: str) -> bool:
    if failure is None or failure.reason != "AlreadyExists" or not isinstance(failure.change, Create):
        return False
    return bool(failure.change.object["metadata"]["name"] == name)


def _replace(draft: _Draft) -> None:
    """Delete the Jobs that still run."""
    running = {ref["uid"] for ref in draft.active}
    draft.replaced += [_delete(draft, job) for job in draft.jobs if job["metadata"]["uid"] in running]
    draft.active = []


def _job_name(cron_job: Object, due: datetime) -> str:
    return f"{cron_job['metadata']['name']}-{int(due.timestamp()) // 60}"


def _job(cron_job: Object, due: datetime) -> Object:
    template = cron_job["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    shown = due.astimezone(zone_of(cron_job["spec"]) or UTC).isoformat()
    meta: Object = {"name": _job_name(cron_job, due), "namespace": cron_job["metadata"]["namespace"]}
    if given.get("labels"):
        meta["labels"] = dict(given["labels"])
    meta["annotations"] = {**(given.get("annotations") or {}), SCHEDULED: shown.replace("+00:00", "Z")}
    meta["ownerReferences"] = [owners.controller_reference(cron_job, CRONJOBS)]
    return {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "metadata": meta, "spec": template["spec"]}


def _reference(job: Object) -> Object:
    meta = job["metadata"]
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "resourceVersion": meta.get("resourceVersion", ""),
    }


def _write_status(draft: _Draft) -> tuple[Change, ...]:
    status = draft.status
    status.pop("active", None)
    if draft.active:
        status["active"] = draft.active
    if status == (draft.cron_job.get("status") or {}):
        return ()
    return (Update(CRONJOBS, {**draft.cron_job, "status": status}, "status"),)


# Whom changes wake


def _of_cron_job(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A CronJob that only has another schedule is not started for what that one would have started before.

    Its second key, of the resource of Jobs, stands for that: it does nothing before its first start is due.
    """
    key = key_of(CRONJOBS, new or old or {})
    if old is None or new is None or _times(old) == _times(new):
        return (key,)
    return (key._replace(resource=JOBS),)


def _times(cron_job: Object) -> tuple[object, object]:
    return cron_job["spec"].get("schedule"), cron_job["spec"].get("timeZone")


def _retime(cron_job: Object, now: datetime) -> Result:
    """Look again when the new schedule's next start is due."""
    try:
        schedule = parse(cron_job["spec"]["schedule"], zone_of(cron_job["spec"]) or UTC)
    except Unparseable:
        message = f"unparseable schedule for cronjob: {cron_job['spec']['schedule']}"
        return Result(events=(EventNote(cron_job, "Warning", "UnParseableCronJobSchedule", message),))
    return Result(requeue_after=missed.seconds_to_next(cron_job, schedule, now))


CONTROLLER = Controller(
    name="cronjob-controller",
    resource=CRONJOBS,
    watches=(Watch(CRONJOBS, _of_cron_job), Watch(JOBS, controller_of_changed(CRONJOBS))),
    writes=("create, delete jobs", "update cronjobs/status"),
    reconcile=reconcile,
    queue="cronjob",
    observer=CronJobMetrics,
)
