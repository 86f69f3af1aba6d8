"""What `/metrics` tells of Jobs, CronJobs and times to live."""

from __future__ import annotations

from tests.fakes.jobs import Kubelet, job
from tests.fakes.world import World, run
from tests.unit.controller.test_cron_jobs import cron_job, end

from knarr.api.registry import CRONJOBS, JOBS
from knarr.controller import cronjob, ttl_after_finished
from knarr.controller import job as jobs

ALL = (jobs.CONTROLLER, cronjob.CONTROLLER, ttl_after_finished.CONTROLLER)


def lines(world: World) -> set[str]:
    return {line for family in world.manager.metrics() for line in family.lines()}


def test_ends_of_jobs_pods_and_indexes_are_counted_once() -> None:
    async def story(world: World) -> None:
        kubelet = Kubelet(world.api)
        spec = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 0}
        rules = [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [3]}}]
        policy = {"podFailurePolicy": {"rules": rules}, "podReplacementPolicy": "Failed"}
        world.api.create(JOBS, job("indexed", backoffLimit=100, **spec, **policy))  # type: ignore[arg-type]
        world.api.create(JOBS, job("plain"))
        world.api.create(JOBS, job("other", managedBy="example.com/other"))
        await world.settle()
        first, second = kubelet.active("indexed")
        kubelet.end(first, 3)
        kubelet.end(second)
        kubelet.end(kubelet.active("plain")[0])
        await world.settle()
        assert lines(world) >= {
            'job_controller_jobs_finished_total{completion_mode="Indexed",result="failed",reason="FailedIndexes"} 1',
            'job_controller_jobs_finished_total{completion_mode="NonIndexed",result="succeeded",'
            'reason="CompletionsReached"} 1',
            'job_controller_job_pods_finished_total{completion_mode="Indexed",result="succeeded"} 1',
            'job_controller_job_pods_finished_total{completion_mode="Indexed",result="failed"} 1',
            'job_controller_job_finished_indexes_total{status="failed",backoffLimit="perIndex"} 1',
            'job_controller_job_finished_indexes_total{status="succeeded",backoffLimit="perIndex"} 1',
            'job_controller_terminated_pods_tracking_finalizer_total{event="add"} 3',
            'job_controller_terminated_pods_tracking_finalizer_total{event="delete"} 3',
            'job_controller_pod_failures_handled_by_failure_policy_total{action="FailIndex"} 1',
            'job_controller_jobs_by_external_controller_total{controller_name="example.com/other"} 1',
            'job_controller_job_pods_creation_total{reason="new",status="succeeded"} 3',
        }
        created = 'completion_mode="Indexed",result="success",action="pods_created"'
        assert f"job_controller_job_syncs_total{{{created}}} 1" in lines(world)

    run(story, ALL)


def test_delays_of_cron_jobs_and_of_times_to_live_are_measured() -> None:
    async def story(world: World) -> None:
        world.api.create(CRONJOBS, cron_job())
        await world.advance(61)
        assert "cronjob_controller_job_creation_skew_duration_seconds_count 1" in lines(world)
        world.api.create(JOBS, job("brief", ttlSecondsAfterFinished=1, managedBy="example.com/other"))
        end(world, "brief")
        await world.advance(3)
        assert "ttl_after_finished_controller_job_deletion_duration_seconds_count 1" in lines(world)

    run(story, ALL)
