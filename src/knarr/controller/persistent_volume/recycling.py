"""Empties a released volume with a pod, and offers it again.

Input: a released volume, the pods that mount its claim, its recycler pod. Output: that pod, or the volume without its
claim, or the phase Failed. Invariant: a volume is offered only after its own pod has succeeded; the pod goes first, so
that a crash between the two makes it be emptied again.
Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#recycle
"""

from __future__ import annotations

from knarr.api.registry import PODS, PVCS, PVS
from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object
from knarr.controller.persistent_volume import binding, drafts
from knarr.controller_runtime.changes import DONE, Context, Create, Delete, EventNote, Result, Update
from knarr.controller_runtime.snapshot import CLAIM, Snapshot

NAMESPACE = "default"
PREFIX = "recycler-for-"
_IMAGE = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"
_SCRIPT = 'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1'
_GI = 1 << 30
#: Seconds that a recycler may take: at least, and for each GiB.
_LEAST = {"hostPath": 60, "nfs": 300}
_PER_GI = 30
#: Seconds until a failed recycling is tried again.
_PAUSE = 120.0
_FAILED = "VolumeFailedRecycle"
_ENDED = ("Succeeded", "Failed")


def recycle(volume: Object, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a released volume's recycling."""
    users = _users(volume, snapshot)
    if users:
        message = f"Volume is used by pods: {','.join(users)}"
        return Result(events=(EventNote(volume, "Normal", _FAILED, message),))
    kind = _kind(volume)
    if not kind:
        return _failed(volume, "No recycler plugin found for the volume!")
    pod = snapshot.get(PODS, NAMESPACE, PREFIX + volume["metadata"]["name"])
    if pod is not None:
        return _watched(volume, kind, pod)
    if (volume.get("status") or {}).get("phase") == "Failed" and not context.delayed:
        return Result(requeue_after=_PAUSE)
    return Result((Create(PODS, _pod(volume, kind)),))


def _users(volume: Object, snapshot: Snapshot) -> list[str]:
    """The pods that still mount the volume. If the claim's name stands again, they mount another."""
    ref = volume["spec"]["claimRef"]
    if snapshot.get(PVCS, ref["namespace"], ref["name"]) is not None:
        return []
    pods = snapshot.indexed(PODS, CLAIM, f"{ref['namespace']}/{ref['name']}")
    alive = [pod["metadata"] for pod in pods if (pod.get("status") or {}).get("phase") not in _ENDED]
    return sorted(f"{meta['namespace']}/{meta['name']}" for meta in alive)


def _watched(volume: Object, kind: str, pod: Object) -> Result:
    """The recycler pod is there."""
    status, meta = pod.get("status") or {}, pod["metadata"]
    if meta.get("deletionTimestamp"):
        return DONE
    gone = Delete(PODS, NAMESPACE, meta["name"], uid=meta["uid"])
    if not _is_of(pod, volume, kind):
        return Result((gone,))
    if status.get("phase") == "Succeeded":
        note = EventNote(volume, "Normal", "VolumeRecycled", "Volume recycled")
        return Result((gone, Update(PVS, binding.unbound(volume), done=note)))
    if status.get("phase") == "Failed":
        reason = status.get("message") or "pod failed, pod.Status.Message unknown"
        return Result((gone, *_failed(volume, f"Recycle failed: {reason}").changes))
    return DONE


def _failed(volume: Object, message: str) -> Result:
    return drafts.in_phase(volume, "Failed", message, EventNote(volume, "Warning", _FAILED, message))


def _kind(volume: Object) -> str:
    """Which of the volumes that can be recycled it is."""
    return next((kind for kind in _LEAST if volume["spec"].get(kind)), "")


def _is_of(pod: Object, volume: Object, kind: str) -> bool:
    """Whether a pod of the recycler's name empties this volume, and not one of that name before it."""
    found = (pod["spec"].get("volumes") or [{}])[0].get(kind) or {}
    return all(found.get(name) == value for name, value in volume["spec"][kind].items())


def _pod(volume: Object, kind: str) -> Object:
    size = quantity.from_json((volume["spec"].get("capacity") or {}).get("storage", "0")).value()
    container = {
        "name": "pv-recycler",
        "image": _IMAGE,
        "command": ["/bin/sh"],
        "args": ["-c", _SCRIPT],
        "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
    }
    spec = {
        "activeDeadlineSeconds": max(size // _GI * _PER_GI, _LEAST[kind]),
        "restartPolicy": "Never",
        "volumes": [{"name": "vol", kind: volume["spec"][kind]}],
        "containers": [container],
    }
    meta = {"name": PREFIX + volume["metadata"]["name"], "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
