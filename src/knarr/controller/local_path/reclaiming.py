"""One round of a volume that is given back: its folder goes, then the volume.

Input: a released volume, its node, its helper pod. Output: the helper pod, the volume's deletion. Invariants: a volume
goes only after its folder has, unless its node is gone; only folders of volumes are ever removed.
"""

from __future__ import annotations

from knarr.api.registry import NODES, PODS, PVS
from knarr.apimachinery.types import Object
from knarr.controller.local_path import helper, names
from knarr.controller.local_path.names import NAMESPACE, Settings
from knarr.controller_runtime.changes import DONE, Change, Context, Create, Delete, EventNote, Result
from knarr.controller_runtime.snapshot import Key, Snapshot

#: Seconds until a failed removal is tried again.
_PAUSE = 15.0
_FAILED = "VolumeFailedDelete"


def sync(key: Key, snapshot: Snapshot, context: Context, settings: Settings) -> Result:
    """Take the next step of a volume, or clear away after one that is gone."""
    volume = snapshot.get(*key)
    pod = snapshot.get(PODS, NAMESPACE, names.DELETE + key.name)
    if volume is None or not _is_given_back(volume):
        return Result(_gone(pod)) if volume is None else DONE
    path = names.path_of(volume)
    if not helper.is_in(path, settings.folder):
        text = f'path "{path}" is none of a volume in {settings.folder}'
        return Result(events=(EventNote(volume, "Warning", _FAILED, text),))
    node = _node(volume, snapshot)
    if node is None:
        return Result((_deleted(volume),))
    if pod is None:
        body = helper.pod(names.DELETE + key.name, node["metadata"]["name"], path, helper.REMOVE, settings)
        return Result((Create(PODS, body),))
    return _go_on(volume, pod, context)


def _is_given_back(volume: Object) -> bool:
    if not names.is_ours(volume) or volume["metadata"].get("deletionTimestamp"):
        return False
    policy, phase = volume["spec"].get("persistentVolumeReclaimPolicy"), (volume.get("status") or {}).get("phase")
    return policy == "Delete" and phase == "Released"


def _node(volume: Object, snapshot: Snapshot) -> Object | None:
    host = names.node_of(volume)
    named = snapshot.get(NODES, "", host)
    if named is not None:
        return named
    nodes = snapshot.list(NODES)
    return next((each for each in nodes if (each["metadata"].get("labels") or {}).get(names.HOSTNAME) == host), None)


def _go_on(volume: Object, pod: Object, context: Context) -> Result:
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Succeeded":
        return Result((_deleted(volume), *_gone(pod)))
    if phase != "Failed":
        return DONE
    if context.delayed:
        # Its end wakes the volume, which begins anew.
        return Result(_gone(pod))
    note = EventNote(volume, "Warning", _FAILED, f"failed to delete volume: {helper.failure(pod)}")
    return Result(events=(note,), requeue_after=_PAUSE)


def _deleted(volume: Object) -> Delete:
    return Delete(PVS, "", volume["metadata"]["name"], uid=volume["metadata"]["uid"])


def _gone(pod: Object | None) -> tuple[Change, ...]:
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return ()
    return (Delete(PODS, NAMESPACE, pod["metadata"]["name"], uid=pod["metadata"]["uid"]),)
