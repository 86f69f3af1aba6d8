"""Jobs run their pods to completion, and end as their limits and policies say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.fakes.jobs import INDEX, Kubelet, index_of, job
from tests.fakes.world import World, run

from knarr.api.registry import JOBS, PODS
from knarr.api.resources import Resource
from knarr.apimachinery import errors
from knarr.apimachinery.types import Object
from knarr.controller.job import CONTROLLER
from knarr.controller_runtime.changes import Context, Create, Result
from knarr.controller_runtime.snapshot import Key

TRACKING = "batch.kubernetes.io/job-tracking"
DONE = [("SuccessCriteriaMet", "True", "CompletionsReached"), ("Complete", "True", "CompletionsReached")]


def failed(reason: str) -> list[tuple[str, str, str]]:
    return [("FailureTarget", "True", reason), ("Failed", "True", reason)]


def tell(story: Callable[[World, Kubelet], Awaitable[None]]) -> World:
    async def told(world: World) -> None:
        await story(world, Kubelet(world.api))

    return run(told, (CONTROLLER,))


async def end_all(world: World, kubelet: Kubelet, code: int = 0) -> None:
    for pod in kubelet.active():
        kubelet.run(pod)
        kubelet.end(pod, code)
    await world.settle()


def test_a_job_runs_as_many_pods_as_it_has_completions_and_is_complete() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(completions=3, parallelism=2))
        await world.settle()
        pods = kubelet.active()
        assert len(pods) == 2
        assert pods[0]["metadata"]["finalizers"] == [TRACKING]
        assert pods[0]["metadata"]["generateName"] == "work-"
        assert kubelet.status()["active"] == 2
        assert kubelet.status()["startTime"]
        for pod in pods:
            kubelet.run(pod)
        await world.settle()
        assert kubelet.status()["ready"] == 2
        await end_all(world, kubelet)
        assert len(kubelet.active()) == 1
        await end_all(world, kubelet)
        status = kubelet.status()
        assert status["succeeded"] == 3
        assert (status["ready"], status["terminating"], status.get("active", 0)) == (0, 0, 0)
        assert status["uncountedTerminatedPods"] == {}
        assert status["completionTime"]
        assert kubelet.conditions() == DONE
        assert not any(pod["metadata"].get("finalizers") for pod in kubelet.pods())

    world = tell(story)
    assert world.notes.messages()[-1] == "Normal Completed: Job completed"
    assert sum(note.reason == "SuccessfulCreate" for note in world.notes.taken) == 3


def test_without_completions_one_success_ends_it_and_the_others_are_left_to_finish() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(completions=None, parallelism=3))
        await world.settle()
        kubelet.end(kubelet.active()[0])
        await world.settle()
        assert len(kubelet.active()) == 2
        assert kubelet.conditions() == []
        await end_all(world, kubelet)
        assert kubelet.status()["succeeded"] == 3
        assert kubelet.conditions() == DONE

    tell(story)


def test_failures_are_retried_after_a_growing_delay_up_to_the_limit() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(backoffLimit=2))
        await world.settle()
        for delay in (10, 20):
            await end_all(world, kubelet, 1)
            await world.advance(delay - 2)
            assert kubelet.active() == []
            await world.advance(4)
            assert len(kubelet.active()) == 1
        await end_all(world, kubelet, 1)
        assert kubelet.status()["failed"] == 3
        assert kubelet.conditions() == failed("BackoffLimitExceeded")

    world = tell(story)
    message = "Warning BackoffLimitExceeded: Job has reached the specified backoff limit"
    assert world.notes.messages()[-1] == message


def test_a_failing_job_ends_when_the_last_pod_has_stopped() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(backoffLimit=0, parallelism=2, completions=2))
        await world.settle()
        first, second = kubelet.active()
        kubelet.run(second)
        kubelet.end(first, 1)
        await world.settle()
        assert kubelet.conditions() == failed("BackoffLimitExceeded")[:1]
        assert kubelet.status()["terminating"] == 1
        kubelet.remove(second)
        await world.settle()
        assert kubelet.status()["failed"] == 2
        assert kubelet.status()["terminating"] == 0
        assert kubelet.conditions() == failed("BackoffLimitExceeded")

    tell(story)


def test_the_deadline_ends_a_job() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(activeDeadlineSeconds=30))
        await world.settle()
        await world.advance(31)
        assert kubelet.conditions() == failed("DeadlineExceeded")
        assert kubelet.pods() == []

    assert "Warning DeadlineExceeded: Job was active longer than specified deadline" in tell(story).notes.messages()


def test_restarts_within_pods_count_against_the_limit() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        made = job(backoffLimit=3)
        made["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
        world.api.create(JOBS, made)
        await world.settle()
        (pod,) = kubelet.active()
        kubelet.run(pod)
        states = [{"name": "c", "restartCount": 3, "state": {"running": {}}}]
        world.api.set_status(PODS, "default", pod["metadata"]["name"], phase="Running", containerStatuses=states)
        await world.settle()
        kubelet.remove(kubelet.pods()[0])
        await world.settle()
        assert kubelet.conditions() == failed("BackoffLimitExceeded")

    tell(story)


def test_each_index_has_its_pod_with_annotation_label_hostname_and_variable() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(completionMode="Indexed", completions=3, parallelism=2))
        await world.settle()
        pods = kubelet.active()
        assert [index_of(pod) for pod in pods] == [0, 1]
        pod = pods[1]
        assert pod["metadata"]["labels"][INDEX] == "1"
        assert pod["metadata"]["name"].startswith("work-1-")
        assert pod["spec"]["hostname"] == "work-1"
        (variable,) = pod["spec"]["containers"][0]["env"]
        path = f"metadata.labels['{INDEX}']"
        assert variable == {
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}},
        }
        kubelet.end(pod)
        await world.settle()
        assert [index_of(pod) for pod in kubelet.active()] == [0, 2]
        assert kubelet.status()["completedIndexes"] == "1"
        await end_all(world, kubelet)
        assert kubelet.status()["completedIndexes"] == "0-2"
        assert kubelet.status()["succeeded"] == 3
        assert kubelet.conditions() == DONE

    tell(story)


def test_indexes_fail_one_by_one_and_their_failures_are_handed_down() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        spec: Object = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 1}
        world.api.create(JOBS, job(backoffLimit=2**31 - 1, **spec))
        await world.settle()
        first, second = kubelet.active()
        kubelet.end(first)
        kubelet.end(second, 1)
        await world.settle()
        assert second["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "0"
        # It stays until its replacement has taken over its count.
        assert kubelet.pods()[1]["metadata"]["finalizers"] == [TRACKING]
        await world.advance(11)
        (third,) = kubelet.active()
        assert third["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"
        await end_all(world, kubelet, 1)
        status = kubelet.status()
        assert (status["completedIndexes"], status["failedIndexes"]) == ("0", "1")
        assert (status["succeeded"], status["failed"]) == (1, 2)
        assert kubelet.conditions() == failed("FailedIndexes")

    tell(story)


def test_too_many_failed_indexes_end_the_job() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        spec: Object = {"completionMode": "Indexed", "completions": 4, "parallelism": 2, "backoffLimitPerIndex": 0}
        world.api.create(JOBS, job(backoffLimit=2**31 - 1, maxFailedIndexes=1, **spec))
        await world.settle()
        for _ in range(2):
            kubelet.end(kubelet.active()[0], 1)
            await world.settle()
        assert kubelet.status()["failedIndexes"] == "0,1"
        assert kubelet.conditions() == failed("MaxFailedIndexesExceeded")

    tell(story)


def test_the_failure_policy_ignores_counts_or_fails() -> None:
    codes = {"operator": "In", "values": [3]}
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": codes},
    ]

    async def story(world: World, kubelet: Kubelet) -> None:
        made = job(backoffLimit=0, podFailurePolicy={"rules": rules}, podReplacementPolicy="Failed")
        world.api.create(JOBS, made)
        await world.settle()
        kubelet.end(kubelet.active()[0], 1, "DisruptionTarget")
        await world.advance(11)
        assert kubelet.status().get("failed", 0) == 0
        (pod,) = kubelet.active()
        kubelet.end(pod, 3)
        await world.settle()
        assert kubelet.conditions() == failed("PodFailurePolicy")
        name = pod["metadata"]["name"]
        message = f"Container c for pod default/{name} failed with exit code 3 matching FailJob rule at index 1"
        assert kubelet.status()["conditions"][-1]["message"] == message

    tell(story)


def test_fail_index_needs_no_second_try() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        rules = [{"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [7]}}]
        spec: Object = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 5}
        policy: Object = {"podFailurePolicy": {"rules": rules}, "podReplacementPolicy": "Failed"}
        world.api.create(JOBS, job(backoffLimit=2**31 - 1, **spec, **policy))
        await world.settle()
        first, second = kubelet.active()
        kubelet.end(first, 1)
        kubelet.end(second, 0)
        await world.settle()
        assert kubelet.conditions() == failed("FailedIndexes")
        assert kubelet.status()["failedIndexes"] == "0"

    tell(story)


def test_the_success_policy_ends_a_job_early_and_what_still_runs_is_no_failure() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        rules = [{"succeededIndexes": "1-2", "succeededCount": 1}]
        spec: Object = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
        world.api.create(JOBS, job(**spec, successPolicy={"rules": rules}))
        await world.settle()
        first, second, third = kubelet.active()
        kubelet.end(first)
        await world.settle()
        assert kubelet.conditions() == []
        kubelet.run(third)
        kubelet.end(second)
        await world.settle()
        assert kubelet.conditions() == [("SuccessCriteriaMet", "True", "SuccessPolicy")]
        kubelet.remove(third)
        await world.settle()
        reason = "SuccessPolicy"
        assert kubelet.conditions() == [("SuccessCriteriaMet", "True", reason), ("Complete", "True", reason)]
        assert kubelet.status()["conditions"][-1]["message"] == "Matched rules at index 0"
        assert kubelet.status()["succeeded"] == 2

    tell(story)


def test_a_suspended_job_gives_up_its_pods_and_starts_anew_when_resumed() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(parallelism=2, completions=2, activeDeadlineSeconds=30))
        await world.settle()
        began = kubelet.status()["startTime"]
        world.api.change_spec(JOBS, "default", "work", suspend=True)
        await world.settle()
        assert kubelet.pods() == []
        assert kubelet.conditions() == [("Suspended", "True", "JobSuspended")]
        assert "startTime" not in kubelet.status()
        await world.advance(60, 10)
        world.api.change_spec(JOBS, "default", "work", suspend=False)
        await world.settle()
        assert len(kubelet.active()) == 2
        assert kubelet.conditions() == [("Suspended", "False", "JobResumed")]
        assert kubelet.status()["startTime"] > began
        assert kubelet.status().get("failed", 0) == 0

    messages = tell(story).notes.messages()
    assert "Normal Suspended: Job suspended" in messages
    assert "Normal Resumed: Job resumed" in messages


def test_a_pod_is_replaced_while_it_terminates_or_only_when_it_has_failed() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        for policy, name in (("TerminatingOrFailed", "soon"), ("Failed", "late")):
            world.api.create(JOBS, job(name, podReplacementPolicy=policy))
            await world.settle()
            (pod,) = kubelet.active(name)
            kubelet.run(pod)
            world.api.delete(PODS, ("default", pod["metadata"]["name"]), {})
            await world.settle()
            assert len(kubelet.active(name)) == (name == "soon")
            assert kubelet.status(name)["terminating"] == 1
            kubelet.end(pod, 143)
            await world.advance(11)
            assert len(kubelet.active(name)) == 1
            assert kubelet.status(name)["failed"] == 1

    tell(story)


def test_an_elastic_job_scales_with_its_indexes() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(completionMode="Indexed", completions=3, parallelism=3))
        await world.settle()
        kubelet.end(kubelet.active()[2])
        await world.settle()
        world.api.change_spec(JOBS, "default", "work", completions=2, parallelism=2)
        await world.settle()
        assert [index_of(pod) for pod in kubelet.active()] == [0, 1]
        assert kubelet.status().get("succeeded", 0) == 0
        world.api.change_spec(JOBS, "default", "work", completions=4, parallelism=4)
        await world.settle()
        assert [index_of(pod) for pod in kubelet.active()] == [0, 1, 2, 3]

    tell(story)


def test_orphans_are_adopted_with_finalizer_and_strangers_released_without() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(labels={"app": "a"}))
        await world.settle()
        (pod,) = kubelet.active()
        bare = {field: value for field, value in pod["metadata"].items() if field != "ownerReferences"}
        world.api.update(PODS, {**pod, "metadata": {**bare, "finalizers": []}})
        await world.settle()
        (again,) = kubelet.active()
        assert again["metadata"]["finalizers"] == [TRACKING]
        world.api.update(PODS, {**again, "metadata": {**again["metadata"], "labels": {"app": "b"}}})
        await world.settle()
        (new,) = kubelet.active()
        assert new["metadata"]["name"] != again["metadata"]["name"]
        stray = world.api.get(PODS, "default", again["metadata"]["name"])
        assert not stray["metadata"].get("ownerReferences")
        assert not stray["metadata"].get("finalizers")

    tell(story)


def test_pods_of_a_job_that_is_gone_or_going_are_let_go() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job("gone", parallelism=2, completions=2))
        world.api.create(JOBS, job("going"))
        await world.settle()
        world.api.delete(JOBS, ("default", "going"), {"propagationPolicy": "Foreground"})
        world.api.remove(JOBS, ("default", "gone"))
        await world.settle()
        assert len(world.api.list(PODS)) == 3
        assert not any(pod["metadata"].get("finalizers") for pod in world.api.list(PODS))

    tell(story)


def test_a_job_that_somebody_else_manages_is_left_alone() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job(managedBy="example.com/other"))
        world.api.create(JOBS, job("mine", managedBy="kubernetes.io/job-controller"))
        await world.settle()
        assert kubelet.pods() == []
        assert len(kubelet.pods("mine")) == 1

    tell(story)


def decide(world: World) -> Result:
    """What one round orders."""
    context = Context(world.clock.now(), world.names)
    return CONTROLLER.reconcile(Key(JOBS, "default", "work"), world.informers, context)


def test_absurd_numbers_cost_a_bounded_round() -> None:
    for spec in (
        {"completions": 2**31 - 1, "parallelism": 2**31 - 1},
        {"completionMode": "Indexed", "completions": 2**31 - 1, "parallelism": 100_000},
    ):
        world = World((CONTROLLER,))
        world.api.create(JOBS, job(**spec))
        made = [change.object for change in decide(world).changes if isinstance(change, Create)]
        assert len(made) == 500
        world.api.set_status(JOBS, "default", "work", completedIndexes="0-2000000000", succeeded=2_000_000_001)
        made = [change.object for change in decide(world).changes if isinstance(change, Create)]
        assert len(made) == 500
        if "completionMode" in spec:
            assert [index_of(pod) for pod in made[:2]] == [2_000_000_001, 2_000_000_002]


def test_pods_that_are_refused_are_tried_again_ever_more_seldom() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        create = world.api.create

        def refuse(resource: Resource, obj: Object) -> Object:
            if resource is PODS:
                raise errors.forbidden("pods", "", obj["metadata"]["name"], "exceeded quota")
            return create(resource, obj)

        world.api.create = refuse  # type: ignore[method-assign]
        world.api.create(JOBS, job(parallelism=100, completions=100))
        await world.settle()
        await world.advance(120)
        assert sum(method == "POST" for method, _ in world.api.requests) < 20
        status = kubelet.status()
        assert status["startTime"]
        assert status.get("active", 0) == 0

    assert any(note.reason == "FailedCreate" for note in tell(story).notes.taken)


def test_what_never_changes_costs_nothing() -> None:
    async def story(world: World, kubelet: Kubelet) -> None:
        world.api.create(JOBS, job("waits", parallelism=0))
        world.api.create(JOBS, job("runs", activeDeadlineSeconds=10**9, labels={"app": "runs"}))
        world.api.create(JOBS, job("nothing", completions=0, parallelism=0))
        await world.settle()
        for pod in kubelet.active("runs"):
            kubelet.run(pod)
        await world.settle()
        before = len(world.api.requests)
        await world.advance(3600, 60)
        assert len(world.api.requests) == before
        assert kubelet.conditions("nothing") == DONE

    tell(story)
