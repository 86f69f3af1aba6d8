"""Lets go pods whose Job is gone or finished: nobody will count them any more.

Input: a pod, its Job where there is one. Output: a patch that removes the finalizer. That the Job is absent is asked of
the server: a late watch must not lose a pod.
"""

from __future__ import annotations

from knarr.api.registry import JOBS
from knarr.api.semantics import owners
from knarr.api.semantics.jobs import is_finished
from knarr.apimachinery.types import Object
from knarr.controller.job import manage, pods
from knarr.controller_runtime.changes import DONE, Context, Read, Result
from knarr.controller_runtime.snapshot import Key, Snapshot

#: What `spec.managedBy` says, if anything, of Jobs that this controller works on.
MANAGER = "kubernetes.io/job-controller"


def is_managed(job: Object) -> bool:
    """Whether this controller works on the Job."""
    return job["spec"].get("managedBy") in (None, MANAGER)


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Let a pod go, if no Job will count it."""
    pod = snapshot.get(*key)
    if pod is None or not pods.is_tracked(pod):
        return DONE
    owner = owners.controller_of(pod)
    if owner is None:
        # Unless it has changed: it may just be adopted.
        return Result((manage.release(pod, unchanged=True),))
    if (owner.get("apiVersion"), owner.get("kind")) != (JOBS.api_version, JOBS.kind):
        return DONE
    if _keeps(snapshot.get(JOBS, key.namespace, owner["name"]), owner):
        return DONE
    read = Read(JOBS, key.namespace, owner["name"])
    if read not in context.live:
        return Result(reads=(read,))
    return DONE if _keeps(context.live[read], owner) else Result((manage.release(pod, unchanged=True),))


def _keeps(job: Object | None, owner: Object) -> bool:
    """Whether a Job is the owner and will see to the pod."""
    if job is None or job["metadata"].get("uid") != owner.get("uid"):
        return False
    return not is_managed(job) or not is_finished(job)
