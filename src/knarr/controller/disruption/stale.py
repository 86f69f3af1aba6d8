"""Pods that were to be disrupted and were not: two minutes later their condition says so.

Input: a pod. Output: a patch of its condition `DisruptionTarget`. What a kubelet has announced it carries out itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from knarr.api.registry import PODS
from knarr.api.semantics import conditions, disruptions, pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, Patch, Result
from knarr.controller_runtime.controller import key_of
from knarr.controller_runtime.snapshot import Key, Snapshot

_PATIENCE = timedelta(minutes=2)
_BY_KUBELET = "TerminationByKubelet"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the announcement back, when it is time."""
    pod = snapshot.get(*key)
    left = None if pod is None else _seconds_left(pod, context.now)
    if pod is None or left is None:
        return DONE
    if left > 0:
        return Result(requeue_after=left)
    now = timestamps.seconds(context.now)
    condition = disruptions.target(pod, now, status="False")
    patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
    return Result((Patch(PODS, key.namespace, key.name, patch, subresource="status"),))


def _seconds_left(pod: Object, now: datetime) -> float | None:
    """Seconds until the announcement is stale; None where there is none that could be."""
    condition = conditions.find(pod, disruptions.TARGET)
    if condition is None or condition["status"] != "True" or condition.get("reason") == _BY_KUBELET:
        return None
    if pod["metadata"].get("deletionTimestamp") or pod_state.is_terminal(pod):
        return None
    since = timestamps.parse_optional(condition.get("lastTransitionTime"))
    return 0.0 if since is None else max(0.0, (since + _PATIENCE - now).total_seconds())


def of_pod(old: Object | None, new: Object | None) -> Iterable[Key]:
    """A pod that was announced to be disrupted."""
    if new is not None and (conditions.find(new, disruptions.TARGET) or {}).get("status") == "True":
        yield key_of(PODS, new)
