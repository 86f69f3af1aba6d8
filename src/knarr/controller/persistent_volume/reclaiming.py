"""What becomes of a volume whose claim is gone: it stays, is deleted by its provisioner, or is emptied.

Input: a released volume. Output: nothing where somebody else acts, the phase Failed where nobody can, or a recycling.
Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
"""

from __future__ import annotations

from knarr.api.semantics.volume_binding import annotations_of
from knarr.apimachinery.types import Object
from knarr.controller.persistent_volume import drafts, provisioning, recycling
from knarr.controller_runtime.changes import DONE, Context, EventNote, Result
from knarr.controller_runtime.snapshot import Snapshot


def reclaim(volume: Object, snapshot: Snapshot, context: Context) -> Result:
    """Act as the reclaim policy of a released volume says."""
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    if policy == "Recycle":
        return recycling.recycle(volume, snapshot, context)
    return _delete(volume) if policy == "Delete" else DONE


def _delete(volume: Object) -> Result:
    provisioner = str(annotations_of(volume).get(provisioning.PROVISIONED_BY, ""))
    moved = provisioning.MIGRATED_TO in annotations_of(volume)
    if moved or (provisioner and provisioning.is_external(provisioner)):
        # It watches for released volumes of its own.
        return DONE
    problem = _problem(volume)
    return drafts.in_phase(volume, "Failed", problem, EventNote(volume, "Warning", "VolumeFailedDelete", problem))


def _problem(volume: Object) -> str:
    """Why nobody here can delete a volume. Not even folders under /tmp: they lie on some node, not on this one."""
    path = str((volume["spec"].get("hostPath") or {}).get("path", ""))
    if path and "/tmp/" not in path:  # noqa: S108 - what Kubernetes' text says
        return f"host_path deleter only supports /tmp/.+ but received provided {path}"
    name = volume["metadata"]["name"]
    return f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
