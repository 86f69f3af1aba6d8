"""How long a replacement waits: 10 s after the first failure in a row, doubled by each further one, 6 min at most.

Failures in a row are read from the pods that are still there, and, while nothing has succeeded yet, from the counts in
the status, so that a crash does not start the back-off anew. A pod that was deleted and is counted already can't be
told from one that the Job itself gave up, so it delays nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from knarr.api.semantics import pod_state
from knarr.apimachinery.types import Object
from knarr.controller.job import pods

_FIRST, _LONGEST = 10.0, 360.0


def remaining(failures: int, last: datetime | None, now: datetime) -> float:
    """Seconds until a replacement may be made; 0 when it may be made now."""
    if not failures or last is None:
        return 0.0
    delay: float = min(_FIRST * 2.0 ** min(failures - 1, 16), _LONGEST)
    return max(0.0, delay - (now - last).total_seconds())


def of_job(job: Object, found: Sequence[Object], failed: int, now: datetime) -> float:
    """Seconds until a Job may make pods again. `failed` are all failures that were counted."""
    ends = [pods.finished_at(pod) for pod in found if _has_failed(pod, job)]
    if not ends:
        return 0.0
    successes = [pods.finished_at(pod) for pod in found if pods.has_succeeded(pod)]
    if successes or (job.get("status") or {}).get("succeeded"):
        latest = max(successes, default=None)
        ends = [end for end in ends if latest is None or end > latest]
        failed = len(ends)
    return remaining(max(failed, len(ends)), max(ends, default=None), now)


def _has_failed(pod: Object, job: Object) -> bool:
    return pod_state.phase(pod) == "Failed" or (pods.is_tracked(pod) and pods.has_failed(pod, job))


def of_index(last: Object | None, now: datetime) -> float:
    """Seconds until an index may have a pod again; `last` is the pod of it that failed last."""
    if last is None:
        return 0.0
    return remaining(pods.failures(last) + pods.ignored_failures(last) + 1, pods.finished_at(last), now)
