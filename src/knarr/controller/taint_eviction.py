"""Pods leave nodes whose NoExecute taints they do not tolerate, or do not tolerate any longer.

Input: a pod, its node's taints. Output: the pod's deletion, at once or after its shortest `tolerationSeconds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from knarr.api.registry import NODES, PODS
from knarr.api.semantics import conditions, disruptions, taints
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About
from knarr.controller_runtime.changes import DONE, Context, Delete, EventNote, Patch, Result, Tick
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.observing import tally
from knarr.controller_runtime.snapshot import NODE, Key, Snapshot

_DELETIONS = About(
    "taint_eviction_controller_pod_deletions_total",
    "Total number of Pods deleted by TaintEvictionController since its start.",
)
_MESSAGE = "Taint manager: deleting due to NoExecute taint"


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Evict a pod when its time is over."""
    pod = snapshot.get(*key)
    if pod is None or pod["metadata"].get("deletionTimestamp") or not pod["spec"].get("nodeName"):
        return DONE
    left = _seconds_left(pod, snapshot, context)
    if left is None:
        return Result(events=(_cancelled(pod),)) if context.waiting else DONE
    return Result(requeue_after=left) if left > 0 else _evict(pod, context)


def _seconds_left(pod: Object, snapshot: Snapshot, context: Context) -> float | None:
    """Seconds until the pod has to go, 0 at once; None when nothing drives it out."""
    node = snapshot.get(NODES, "", pod["spec"]["nodeName"])
    evicting = taints.evicting(node) if node is not None else []
    if not evicting:
        return None
    used = taints.used(pod, evicting)
    return 0.0 if used is None else _patience(pod, evicting, used, context)


def _patience(pod: Object, evicting: Sequence[Object], used: Sequence[Object], context: Context) -> float | None:
    """Seconds until the first toleration ends; None when none ever does."""
    waits = [
        _wait(pod, taint, toleration["tolerationSeconds"], context)
        for taint, toleration in zip(evicting, used, strict=True)
        if toleration.get("tolerationSeconds") is not None
    ]
    return min(waits, default=None)


def _wait(pod: Object, taint: Object, seconds: int, context: Context) -> float:
    """The time runs from when the taint met the pod, whichever of the two came later."""
    added = timestamps.parse_optional(taint.get("timeAdded"))
    if added is None:
        return 0.0 if context.delayed or seconds <= 0 else float(seconds)
    came = timestamps.parse_optional(_bound_at(pod)) or added
    return (max(added, came) + timedelta(seconds=max(0, seconds)) - context.now).total_seconds()


def _bound_at(pod: Object) -> str | None:
    scheduled = conditions.find(pod, "PodScheduled") or {}
    since: str | None = scheduled.get("lastTransitionTime") or pod["metadata"].get("creationTimestamp")
    return since


def _evict(pod: Object, context: Context) -> Result:
    meta = pod["metadata"]
    place = (PODS, meta["namespace"], meta["name"])
    now = timestamps.seconds(context.now)
    condition = disruptions.target(pod, now, reason="DeletionByTaintManager", message=_MESSAGE)
    patch = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [condition]}}
    message = f"Marking for deletion Pod {meta['namespace']}/{meta['name']}"
    note = EventNote(pod, "Normal", "TaintManagerEviction", message)
    return Result(
        (Patch(*place, patch, subresource="status", done=note), Delete(*place, uid=meta["uid"])),
        ticks=(Tick(_DELETIONS),),
    )


def _cancelled(pod: Object) -> EventNote:
    message = f"Cancelling deletion of Pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    return EventNote(pod, "Normal", "TaintManagerEviction", message)


def _of_node(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """New taints concern all pods of a node."""
    if new is None or (old is not None and taints.evicting(old) == taints.evicting(new)):
        return ()
    if not taints.evicting(new) and (old is None or not taints.evicting(old)):
        return ()
    return [key_of(PODS, pod) for pod in snapshot.indexed(PODS, NODE, new["metadata"]["name"])]


def _of_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A pod that comes to a node, or tolerates other taints."""
    name = new["spec"].get("nodeName") if new is not None else None
    if new is None or not name:
        return ()
    if (
        old is not None
        and old["spec"].get("nodeName")
        and old["spec"].get("tolerations") == new["spec"].get("tolerations")
    ):
        return ()
    node = snapshot.get(NODES, "", name)
    return [key_of(PODS, new)] if node is not None and taints.evicting(node) else ()


CONTROLLER = Controller(
    name="node-controller",
    title="taint-eviction-controller",
    queue="noexec_taint_pod",
    observer=tally(_DELETIONS),
    component="taint-eviction-controller",
    resource=PODS,
    watches=(Watch(PODS, _of_pod), Watch(NODES, _of_node)),
    writes=("patch pods/status", "delete pods"),
    reconcile=reconcile,
)
