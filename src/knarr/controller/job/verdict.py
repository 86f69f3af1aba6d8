"""Whether a Job is to end, and why: the condition that says so.

The interim conditions come first: `SuccessCriteriaMet` before `Complete`, `FailureTarget` before `Failed`. A decision
that stands in the status is never taken back.
"""

from __future__ import annotations

from datetime import datetime

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.job import failure_policy, intervals, pods, success_policy
from knarr.controller.job.facts import Facts, is_indexed, is_suspended, limits_indexes, true_condition

SUCCESS, FAILURE = "SuccessCriteriaMet", "FailureTarget"
#: What each interim condition becomes when the last pod has ended.
FINAL = {SUCCESS: "Complete", FAILURE: "Failed"}


def condition(kind: str, reason: str, message: str, now: datetime, *, status: str = "True") -> Object:
    """A condition of a Job."""
    at = timestamps.seconds(now)
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": at,
        "lastTransitionTime": at,
        "reason": reason,
        "message": message,
    }


def reached(facts: Facts) -> Object | None:
    """The interim condition that ends the Job, as it stands in the status or is found now; None for one that goes on.

    That all completions are reached is not looked at: see `complete`.
    """
    stored = true_condition(facts.job, SUCCESS) or true_condition(facts.job, FAILURE)
    return stored or _policy(facts) or _limits(facts) or _indexes(facts)


def complete(now: datetime) -> Object:
    """The interim condition of a Job that has reached its completions."""
    return condition(SUCCESS, "CompletionsReached", "Reached expected number of succeeded pods", now)


def seconds_left(facts: Facts) -> float | None:
    """Seconds until the deadline of the whole Job, negative when it has passed, or None where there is none."""
    deadline, began = facts.spec.get("activeDeadlineSeconds"), facts.status.get("startTime")
    if deadline is None or not began or is_suspended(facts.job):
        return None
    return float(deadline - (facts.now - timestamps.parse(began)).total_seconds())


def _fail(facts: Facts, reason: str, message: str) -> Object:
    return condition(FAILURE, reason, message, facts.now)


def _policy(facts: Facts) -> Object | None:
    if facts.spec.get("podFailurePolicy") is None:
        return None
    failed = (pod for pod in facts.pods if pods.has_failed(pod, facts.job))
    messages = (failure_policy.judge(facts.job, pod).message for pod in failed)
    found = next((message for message in messages if message), None)
    return _fail(facts, "PodFailurePolicy", found) if found else None


def _limits(facts: Facts) -> Object | None:
    if facts.failed > facts.spec.get("backoffLimit", 6) or _restarted_too_often(facts):
        return _fail(facts, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = seconds_left(facts)
    if left is not None and left <= 0:
        return _fail(facts, "DeadlineExceeded", "Job was active longer than specified deadline")
    return None


def _restarted_too_often(facts: Facts) -> bool:
    """Whether containers that are restarted in their pods have used up the back-off limit."""
    if facts.spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = 0
    for pod in facts.pods:
        status = pod.get("status") or {}
        if status.get("phase") in ("Running", "Pending"):
            states = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
            restarts += sum(int(state.get("restartCount") or 0) for state in states)
    limit = facts.spec.get("backoffLimit", 6)
    return restarts >= limit if limit else restarts > 0


def _indexes(facts: Facts) -> Object | None:
    if not is_indexed(facts.job):
        return None
    if limits_indexes(facts.job):
        failed, most = intervals.total(facts.failed_indexes), facts.spec.get("maxFailedIndexes")
        if most is not None and failed > most:
            message = "Job has exceeded the specified maximal number of failed indexes"
            return _fail(facts, "MaxFailedIndexesExceeded", message)
        if failed and failed + facts.succeeded >= facts.completions:
            return _fail(facts, "FailedIndexes", "Job has failed indexes")
    met = success_policy.met_rule(facts.job, facts.succeeded_indexes)
    if met is None:
        return None
    return condition(SUCCESS, "SuccessPolicy", f"Matched rules at index {met}", facts.now)
