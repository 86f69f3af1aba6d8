"""When a Job has ended.

https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions
"""

from __future__ import annotations

from knarr.api.semantics import conditions
from knarr.apimachinery.types import Object


def finished_condition(job: Object) -> Object | None:
    """The condition `Complete` or `Failed` that is true, or None for a Job that goes on."""
    found = (
        condition
        for condition in conditions.listed(job)
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
    )
    return next(found, None)


def is_finished(job: Object) -> bool:
    """Whether the Job is complete or has failed."""
    return finished_condition(job) is not None
