"""Claims stay while a pod uses them.

Input: a claim, the pods of its namespace. Output: the claim with its finalizer, or without once nobody uses it.
Invariant: the finalizer goes only after a live read has shown no pod that uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.registry import PODS, PVCS
from knarr.api.semantics.owners import is_controlled_by
from knarr.apimachinery.types import Object
from knarr.controller_runtime import finalizers
from knarr.controller_runtime.changes import DONE, Context, Read, Result
from knarr.controller_runtime.controller import Controller, Watch, itself
from knarr.controller_runtime.snapshot import Key, Snapshot

_FINALIZER = "kubernetes.io/pvc-protection"


def _reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    claim = snapshot.get(*key)
    if claim is None:
        return DONE
    if not claim["metadata"].get("deletionTimestamp"):
        return finalizers.added(PVCS, claim, _FINALIZER)
    if not finalizers.is_held(claim, _FINALIZER) or _is_used(claim, snapshot.list(PODS, key.namespace)):
        return DONE
    read = Read(PODS, key.namespace)
    if read not in context.live:
        return Result(reads=(read,))
    pods = (context.live[read] or {}).get("items") or ()
    return DONE if _is_used(claim, pods) else finalizers.removed(PVCS, claim, _FINALIZER)


def _is_used(claim: Object, pods: Iterable[Object]) -> bool:
    return any(_uses(pod, claim) for pod in pods)


def _uses(pod: Object, claim: Object) -> bool:
    """Whether a pod that has its node mounts a claim; others find it gone when they get theirs."""
    spec, name = pod.get("spec") or {}, claim["metadata"]["name"]
    if not spec.get("nodeName"):
        return False
    for volume in spec.get("volumes") or ():
        source = volume.get("persistentVolumeClaim")
        if source is not None and source.get("claimName") == name:
            return True
        if volume.get("ephemeral") is not None and name == _ephemeral_name(pod, volume) and not _is_shut_down(pod):
            return is_controlled_by(claim, pod)
    return False


def _ephemeral_name(pod: Object, volume: Object) -> str:
    return f"{pod['metadata']['name']}-{volume['name']}"


def _is_shut_down(pod: Object) -> bool:
    meta = pod["metadata"]
    return bool(meta.get("deletionTimestamp")) and meta.get("deletionGracePeriodSeconds") == 0


def _claims_of_pod(old: Object | None, new: Object | None, _snapshot: Snapshot) -> Iterable[Key]:
    """The claims of a pod that has ended, is gone, or has its node now."""
    return {Key(PVCS, pod["metadata"]["namespace"], name) for pod in (old, new) if pod for name in _claim_names(pod)}


def _claim_names(pod: Object) -> Iterator[str]:
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("persistentVolumeClaim") is not None:
            yield volume["persistentVolumeClaim"].get("claimName", "")
        elif volume.get("ephemeral") is not None:
            yield _ephemeral_name(pod, volume)


CONTROLLER = Controller(
    name="pvc-protection-controller",
    queue="pvcprotection",
    resource=PVCS,
    watches=(Watch(PVCS, itself(PVCS)), Watch(PODS, _claims_of_pod)),
    writes=("update persistentvolumeclaims",),
    reconcile=_reconcile,
)
