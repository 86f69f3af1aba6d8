"""CronJobs start their Jobs in time, once each, and keep a history; ended Jobs go when their time to live is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.fakes.jobs import job
from tests.fakes.world import World, run

from knarr.api.registry import CRONJOBS, JOBS
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller import ttl_after_finished
from knarr.controller.cronjob import CONTROLLER

#: The fake clock begins on 2026-01-01 at 00:00 UTC, a Thursday.
FIRST = "tick-29453761"


def cron_job(schedule: str = "* * * * *", **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "tick"}, "annotations": {"a": "b"}}, "spec": job()["spec"]}
    whole = {
        "schedule": schedule,
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": template,
    }
    return {"metadata": {"name": "tick", "namespace": "default"}, "spec": whole | spec}


def tell(story: Callable[[World], Awaitable[None]]) -> list[str]:
    return run(story, (CONTROLLER,)).notes.messages()


def jobs(world: World) -> list[str]:
    return [job["metadata"]["name"] for job in world.api.list(JOBS)]


def status(world: World) -> Object:
    found: Object = world.api.get(CRONJOBS, "default", "tick").get("status") or {}
    return found


def end(world: World, name: str, kind: str = "Complete") -> None:
    now = timestamps.seconds(world.clock.now())
    condition = {"type": kind, "status": "True", "lastTransitionTime": now}
    more = {"completionTime": now} if kind == "Complete" else {}
    world.api.set_status(JOBS, "default", name, startTime=now, conditions=[condition], **more)


def test_each_minute_has_its_job_named_for_it() -> None:
    async def story(world: World) -> None:
        world.api.create(CRONJOBS, cron_job(timeZone="Asia/Kathmandu"))
        await world.advance(61)
        assert jobs(world) == [FIRST]
        (made,) = world.api.list(JOBS)
        meta = made["metadata"]
        assert meta["labels"] == {"app": "tick"}
        stamp = {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T05:46:00+05:45"}
        assert meta["annotations"] == {"a": "b", **stamp}
        assert meta["ownerReferences"][0]["kind"] == "CronJob"
        assert status(world)["lastScheduleTime"] == "2026-01-01T00:01:00Z"
        (active,) = status(world)["active"]
        assert {**active, "resourceVersion": ""} == {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": FIRST,
            "namespace": "default",
            "uid": meta["uid"],
            "resourceVersion": "",
        }
        await world.advance(120)
        assert len(jobs(world)) == 3
        end(world, FIRST)
        await world.settle()
        assert len(status(world)["active"]) == 2
        assert status(world)["lastSuccessfulTime"] == "2026-01-01T00:03:01Z"

    messages = tell(story)
    assert f"Normal SuccessfulCreate: Created job {FIRST}" in messages
    assert f"Normal SawCompletedJob: Saw completed job: {FIRST}, condition: Complete" in messages
    assert not any("UnexpectedJob" in message for message in messages)


def test_forbid_waits_and_replace_does_not() -> None:
    async def forbid(world: World) -> None:
        world.api.create(CRONJOBS, cron_job(concurrencyPolicy="Forbid"))
        await world.advance(150)
        assert jobs(world) == [FIRST]
        end(world, FIRST)
        await world.settle()
        # The start that was missed is made up for.
        assert jobs(world) == [FIRST, "tick-29453762"]

    message = "Not starting job because prior execution is running and concurrency policy is Forbid"
    assert f"Normal JobAlreadyActive: {message}" in tell(forbid)

    async def replace(world: World) -> None:
        world.api.create(CRONJOBS, cron_job(concurrencyPolicy="Replace"))
        await world.advance(125)
        assert jobs(world) == ["tick-29453762"]
        assert [ref["name"] for ref in status(world)["active"]] == ["tick-29453762"]

    messages = tell(replace)
    assert f"Normal SuccessfulDelete: Deleted job {FIRST}" in messages
    assert not any("MissingJob" in message for message in messages)


def test_a_suspended_one_starts_nothing_until_it_is_resumed() -> None:
    async def story(world: World) -> None:
        world.api.create(CRONJOBS, cron_job(suspend=True))
        await world.advance(150, 10)
        assert jobs(world) == []
        world.api.change_spec(CRONJOBS, "default", "tick", suspend=False)
        await world.settle()
        assert jobs(world) == ["tick-29453762"]

    tell(story)


def test_the_history_is_cut() -> None:
    async def story(world: World) -> None:
        world.api.create(CRONJOBS, cron_job(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0))
        for kind in ("Complete", "Failed", "Complete"):
            await world.advance(61)
            end(world, jobs(world)[-1], kind)
            await world.settle()
        assert len(jobs(world)) == 1
        assert "active" not in status(world)

    tell(story)


def test_many_missed_starts_make_one_job_and_a_warning() -> None:
    async def story(world: World) -> None:
        made = cron_job()
        made["metadata"]["creationTimestamp"] = "2025-06-01T00:00:00Z"
        world.api.create(CRONJOBS, made)
        await world.settle()
        assert jobs(world) == ["tick-29453760"]

    messages = tell(story)
    text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    assert f"Warning TooManyMissedTimes: {text}" in messages


def test_a_start_that_is_too_late_is_left_out() -> None:
    async def story(world: World) -> None:
        made = cron_job("59 23 * * *", startingDeadlineSeconds=30)
        made["metadata"]["creationTimestamp"] = "2025-12-30T00:00:00Z"
        world.api.create(CRONJOBS, made)
        await world.advance(3600, 600)
        assert jobs(world) == []

    tell(story)


def test_another_schedule_does_not_start_what_it_would_have_started_before() -> None:
    async def story(world: World) -> None:
        world.api.create(CRONJOBS, cron_job("0 12 * * *"))
        await world.advance(130, 10)
        world.api.change_spec(CRONJOBS, "default", "tick", schedule="*/2 * * * *")
        await world.settle()
        assert jobs(world) == []
        await world.advance(120, 10)
        assert jobs(world) == ["tick-29453764"]

    tell(story)


def test_schedules_that_make_no_sense_are_told_and_left_alone() -> None:
    async def story(world: World) -> None:
        for name, spec in (
            ("never", cron_job("0 0 31 2 *")),
            ("wrong", cron_job("x * * * *")),
            ("nowhere", cron_job(timeZone="Nowhere/City")),
        ):
            created = {"creationTimestamp": "2025-12-31T00:00:00Z"}
            world.api.create(CRONJOBS, {**spec, "metadata": {"name": name, "namespace": "default", **created}})
        await world.settle()
        before = len(world.notes.taken)
        await world.advance(86400, 3600)
        assert len(world.notes.taken) == before
        assert jobs(world) == []

    messages = tell(story)
    assert set(messages) == {
        "Warning InvalidSchedule: invalid schedule: 0 0 31 2 * :"
        " time difference between two schedules is less than 1 second",
        'Warning UnparseableSchedule: unparseable schedule: "x * * * *" :'
        ' failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax',
        'Warning UnknownTimeZone: invalid timeZone: "Nowhere/City": unknown time zone Nowhere/City',
    }


def test_a_name_that_somebody_else_has_taken_is_left_out() -> None:
    async def story(world: World) -> None:
        world.api.create(JOBS, job(FIRST))
        world.api.create(CRONJOBS, cron_job())
        await world.advance(70)
        requests = len(world.api.requests)
        await world.advance(40)
        assert len(world.api.requests) - requests < 5
        await world.advance(30)
        assert jobs(world) == [FIRST, "tick-29453762"]

    tell(story)


def test_jobs_that_somebody_made_or_took_away_are_noticed() -> None:
    async def story(world: World) -> None:
        world.api.create(CRONJOBS, cron_job())
        await world.advance(61)
        world.api.remove(JOBS, ("default", FIRST))
        await world.settle()
        assert "active" not in status(world)
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "tick", "controller": True}
        owner["uid"] = world.api.get(CRONJOBS, "default", "tick")["metadata"]["uid"]
        manual = job("by-hand")
        manual["metadata"]["ownerReferences"] = [owner]
        world.api.create(JOBS, manual)
        await world.settle()

    messages = tell(story)
    assert f"Normal MissingJob: Active job went missing: {FIRST}" in messages
    text = "Saw a job that the controller did not create or forgot: by-hand"
    assert f"Warning UnexpectedJob: {text}" in messages


def test_an_ended_job_goes_when_its_time_is_over() -> None:
    async def story(world: World) -> None:
        for name, ttl in (("soon", 60), ("never", None), ("later", 60)):
            world.api.create(JOBS, job(name, ttlSecondsAfterFinished=ttl))
            end(world, name)
        world.api.create(JOBS, job("runs", ttlSecondsAfterFinished=0))
        await world.advance(58)
        world.api.change_spec(JOBS, "default", "later", ttlSecondsAfterFinished=600)
        await world.advance(5)
        going = [job["metadata"]["name"] for job in world.api.list(JOBS) if job["metadata"].get("deletionTimestamp")]
        assert going == ["soon"]
        assert world.api.get(JOBS, "default", "soon")["metadata"]["finalizers"] == ["foregroundDeletion"]

    run(story, (ttl_after_finished.CONTROLLER,))


def test_a_time_to_live_that_was_just_raised_counts() -> None:
    async def story(world: World) -> None:
        world.api.create(JOBS, job("work", ttlSecondsAfterFinished=60))
        end(world, "work")
        world.informers.deliver_all()
        await world.settle()
        # The watch is late.
        world.informers.hold = True
        world.api.change_spec(JOBS, "default", "work", ttlSecondsAfterFinished=600)
        await world.advance(70, 10)
        assert "deletionTimestamp" not in world.api.get(JOBS, "default", "work")["metadata"]

    run(story, (ttl_after_finished.CONTROLLER,))
