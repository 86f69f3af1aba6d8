"""Removes pods that nobody else removes: of nodes that are gone, deleted before they had a node, or ended long ago.

Input: a pod, its node, all pods that have ended. Output: deletions without grace, after the pod is marked as failed.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import NODES, PODS
from knarr.api.semantics import conditions, disruptions, pod_state
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import About
from knarr.controller_runtime.changes import DONE, Change, Context, Delete, Patch, Read, Result, Tick
from knarr.controller_runtime.controller import Controller, KeysOf, Watch, key_of
from knarr.controller_runtime.observing import tally
from knarr.controller_runtime.snapshot import NODE, Key, Snapshot

#: Seconds a node may be missing before its pods go.
_QUARANTINE = 40.0
#: Seconds that the server is given to remove a deleted pod that has no node.
_PATIENCE = 20.0
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_THRESHOLD = 12500
_DELETED = About(
    "pod_gc_collector_force_delete_pods_total",
    "Number of pods that are being forcefully deleted since the Pod GC Controller started.",
    ("namespace", "reason"),
)


def controller(threshold: int = _THRESHOLD) -> Controller:
    """The controller that keeps at most `threshold` ended pods."""

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        pod = snapshot.get(*key)
        if pod is None:
            return DONE
        if _is_surplus(pod, snapshot, threshold):
            return _drop(pod, context, "terminated")
        name = pod["spec"].get("nodeName")
        if not name:
            return _unscheduled(pod, context)
        node = snapshot.get(NODES, "", name)
        if node is None:
            return _orphaned(pod, name, context)
        if _is_out_of_service(node) and pod["metadata"].get("deletionTimestamp"):
            return _drop(pod, context, "out-of-service")
        return DONE

    return Controller(
        name="pod-garbage-collector",
        queue="orphaned_pods_nodes",
        observer=tally(_DELETED),
        resource=PODS,
        watches=(Watch(PODS, _of_pod(threshold)), Watch(NODES, _of_node)),
        writes=("patch pods/status", "delete pods"),
        reconcile=reconcile,
    )


def _unscheduled(pod: Object, context: Context) -> Result:
    """A deleted pod without a node has no kubelet to end it; the server usually removes it at once."""
    if not pod["metadata"].get("deletionTimestamp"):
        return DONE
    return _drop(pod, context, "unscheduled") if context.delayed else Result(requeue_after=_PATIENCE)


def _orphaned(pod: Object, node: str, context: Context) -> Result:
    """A node that is missing may come back; its pods go when it stays away."""
    if not context.delayed:
        return Result(requeue_after=_QUARANTINE)
    read = Read(NODES, "", node)
    if read not in context.live:
        return Result(reads=(read,))
    if context.live[read] is not None:
        return DONE
    return _drop(pod, context, "orphaned", "PodGC: node no longer exists")


def _drop(pod: Object, context: Context, reason: str, why: str = "") -> Result:
    ticks = (Tick(_DELETED, (pod["metadata"]["namespace"], reason)),)
    return Result(tuple(_changes(pod, context, why)), ticks=ticks)


def _changes(pod: Object, context: Context, why: str) -> tuple[Change, ...]:
    meta = pod["metadata"]
    place = (PODS, meta["namespace"], meta["name"])
    delete = Delete(*place, uid=meta["uid"], grace=0)
    if pod_state.is_terminal(pod):
        return (delete,)
    status: Object = {"phase": "Failed"}
    if why:
        now = timestamps.seconds(context.now)
        status["conditions"] = [disruptions.target(pod, now, reason="DeletionByPodGC", message=why)]
    patch = {"metadata": {"uid": meta["uid"]}, "status": status}
    return (Patch(*place, patch, subresource="status"), delete)


def _is_surplus(pod: Object, snapshot: Snapshot, threshold: int) -> bool:
    """Whether the pod has ended and enough others have ended after it."""
    if threshold <= 0 or not pod_state.is_terminal(pod):
        return False
    ended = [other for other in snapshot.list(PODS) if pod_state.is_terminal(other)]
    if len(ended) <= threshold:
        return False
    oldest = sorted(ended, key=_age)[: len(ended) - threshold]
    return any(other["metadata"]["uid"] == pod["metadata"]["uid"] for other in oldest)


def _age(pod: Object) -> tuple[bool, str, str]:
    """Evicted pods first, then the oldest."""
    meta = pod["metadata"]
    evicted = (pod.get("status") or {}).get("reason") == "Evicted"
    return (not evicted, meta.get("creationTimestamp", ""), meta["name"])


def _is_out_of_service(node: Object) -> bool:
    """Whether somebody has declared the node dead, and it does not run."""
    taints = (node.get("spec") or {}).get("taints") or ()
    ready = conditions.find(node, "Ready") or {}
    return ready.get("status") != "True" and any(taint["key"] == _OUT_OF_SERVICE for taint in taints)


def _of_pod(threshold: int) -> KeysOf:
    def keys(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
        if new is None:
            # There may be more where that one was.
            if old is not None and pod_state.is_terminal(old) and 0 < threshold < len(snapshot.list(PODS)):
                yield from _oldest_ended(snapshot)
            return
        bound = new["spec"].get("nodeName") and (old is None or not old["spec"].get("nodeName"))
        lost = bound and snapshot.get(NODES, "", new["spec"]["nodeName"]) is None
        if lost or new["metadata"].get("deletionTimestamp"):
            yield key_of(PODS, new)
        has_ended = pod_state.is_terminal(new) and (old is None or not pod_state.is_terminal(old))
        if has_ended and 0 < threshold < len(snapshot.list(PODS)):
            yield from _oldest_ended(snapshot)

    return keys


def _oldest_ended(snapshot: Snapshot) -> list[Key]:
    """With one more, the oldest of those that have ended may be one too many."""
    ended = [pod for pod in snapshot.list(PODS) if pod_state.is_terminal(pod)]
    return [key_of(PODS, min(ended, key=_age))] if ended else []


def _of_node(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """Nodes that go, and nodes declared dead, concern their pods."""
    if new is not None and not _is_out_of_service(new):
        return ()
    name = (new or old or {})["metadata"]["name"]
    return [key_of(PODS, pod) for pod in snapshot.indexed(PODS, NODE, name)]
