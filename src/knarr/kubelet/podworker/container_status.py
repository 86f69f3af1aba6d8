"""One container's status as the API shows it. Input: the pod worker's record. Output: a `ContainerStatus` object."""

from __future__ import annotations

from datetime import datetime

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.kubelet.podworker import resizes
from knarr.kubelet.podworker.model import Exit, Record

#: How the runtime's ids begin.
_SCHEME = "containerd://"


def container_status(record: Record, *, initializing: bool, lost: bool) -> Object:
    """The status of one container.

    `initializing`: the pod has init containers, so what waits waits for them. `lost`: the pod has ended, so that a
    container that never came to run counts as failed.
    """
    waiting = _waiting(record, initializing=initializing) if not record.running else None
    out: Object = {
        "name": record.name,
        "state": _state(record, waiting, lost=lost),
        "lastState": _last_state(record, waiting),
        "ready": _ready(record),
        "restartCount": max(record.attempt, 0),
        "image": record.image or str(record.spec.get("image", "")),
        "imageID": record.image_id,
    }
    if record.container_id:
        out["containerID"] = _SCHEME + record.container_id
    if record.kind != "ephemeral":
        out["started"] = record.running and record.started
        out |= _resources(record)
    if mounts := [_mount(each) for each in record.spec.get("volumeMounts") or ()]:
        out["volumeMounts"] = mounts
    return out


def _ready(record: Record) -> bool:
    if record.kind == "init":
        return record.exit is not None and record.exit.code == 0
    return record.running and record.ready


def _waiting(record: Record, *, initializing: bool) -> tuple[str, str] | None:
    if record.waiting is not None:
        return record.waiting
    if record.exit is None:
        return ("PodInitializing" if initializing else "ContainerCreating", "")
    return None


def _state(record: Record, waiting: tuple[str, str] | None, *, lost: bool) -> Object:
    if record.running:
        return {"running": {"startedAt": _time(record.started_at)}}
    if record.exit is not None and (lost or waiting is None):
        return {"terminated": _terminated(record.exit)}
    reason, message = waiting or ("", "")
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def _last_state(record: Record, waiting: tuple[str, str] | None) -> Object:
    """The end before the present state: of the same container while it waits, else of the one before."""
    if record.exit is not None and waiting is not None:
        return {"terminated": _terminated(record.exit)}
    return {"terminated": _terminated(record.last)} if record.last is not None else {}


def _terminated(ended: Exit) -> Object:
    out: Object = {
        "exitCode": ended.code,
        "reason": ended.reason,
        "startedAt": _time(ended.started_at),
        "finishedAt": timestamps.seconds(ended.finished_at),
    }
    if ended.message:
        out["message"] = ended.message
    if ended.container_id:
        out["containerID"] = _SCHEME + ended.container_id
    return out


def _time(moment: datetime | None) -> str | None:
    return timestamps.seconds(moment) if moment is not None else None


def _resources(record: Record) -> Object:
    """What is set aside for the container, all it asks for, and what it has."""
    asked = resizes.asked(record)
    out: Object = {"allocatedResources": asked["requests"]} if "requests" in asked else {}
    return out | {"resources": record.given if record.running else asked}


def _mount(mount: Object) -> Object:
    out: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        out |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return out
