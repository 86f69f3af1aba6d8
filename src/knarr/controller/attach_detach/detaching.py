"""One round of an attachment: its node is told that the volume is there, or the volume is taken from it.

Input: an attachment, its node, the pods that use its volume. Output: the node's `volumesAttached`, the deletion of the
attachment. Invariants: a volume leaves the node's list before its attachment is deleted; while the node says that it
has the volume in use, it is not detached, unless the node is unhealthy for longer than `_PATIENCE` or out of service.
Source: https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#storage-force-detach-on-timeout
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import NODES, PVS, VOLUMEATTACHMENTS
from knarr.api.semantics import conditions
from knarr.apimachinery.types import Object
from knarr.controller.attach_detach import attachable
from knarr.controller.attach_detach.attaching import FAILED
from knarr.controller_runtime.changes import DONE, Change, Context, Delete, EventNote, Patch, Read, Result
from knarr.controller_runtime.snapshot import Snapshot

#: Seconds that a node is given to unmount a volume.
_PATIENCE = 360.0
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def sync(attachment: Object, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of an attachment."""
    if not attachable.is_own(attachment):
        return DONE
    node = snapshot.get(NODES, "", attachment["spec"]["nodeName"])
    if attachment["metadata"].get("deletionTimestamp"):
        return Result(_reported(node, snapshot))
    users = attachable.users_of(attachable.volume_name(attachment), snapshot)
    pods = attachable.on_node(users, attachment["spec"]["nodeName"])
    return _attached(attachment, node, pods, snapshot) if pods else _unused(attachment, node, snapshot, context)


def _attached(attachment: Object, node: Object | None, pods: list[Object], snapshot: Snapshot) -> Result:
    """A volume that is wanted where it is, or will be."""
    status, name = attachment.get("status") or {}, attachable.volume_name(attachment)
    if status.get("attached"):
        changes = _reported(node, snapshot)
        text = f'AttachVolume.Attach succeeded for volume "{name}" '
        return Result(changes, _notes(pods, "Normal", "SuccessfulAttachVolume", text) if changes else ())
    error = (status.get("attachError") or {}).get("message")
    if not error:
        return DONE
    return Result(events=_notes(pods, "Warning", FAILED, f'AttachVolume.Attach failed for volume "{name}" : {error}'))


def _notes(pods: Iterable[Object], kind: str, reason: str, text: str) -> tuple[EventNote, ...]:
    return tuple(EventNote(pod, kind, reason, text) for pod in pods)


def _unused(attachment: Object, node: Object | None, snapshot: Snapshot, context: Context) -> Result:
    """A volume that nobody there uses any more."""
    meta = attachment["metadata"]
    gone = Delete(VOLUMEATTACHMENTS, "", meta["name"], uid=meta["uid"])
    if _is_out_of_service(node) or (context.delayed and not _is_healthy(node)):
        return Result((*_reported(node, snapshot, without=meta["name"]), gone))
    if _is_in_use(attachment, node, snapshot):
        return Result(requeue_after=_PATIENCE)
    read = Read(NODES, "", attachment["spec"]["nodeName"])
    if read not in context.live:
        # From here on the node mounts it no more; whether it has done so just before, only a live read tells.
        return Result(_reported(node, snapshot), reads=(read,))
    if _is_in_use(attachment, context.live[read], snapshot):
        return Result(requeue_after=_PATIENCE)
    return Result((gone,))


def _is_in_use(attachment: Object, node: Object | None, snapshot: Snapshot) -> bool:
    """Whether the node has the volume mounted. Of a node that is gone nobody knows."""
    volume = snapshot.get(PVS, "", attachable.volume_name(attachment))
    if node is None or volume is None:
        return node is None
    return attachable.reported_name(volume) in ((node.get("status") or {}).get("volumesInUse") or ())


def _is_healthy(node: Object | None) -> bool:
    return node is not None and (conditions.find(node, "Ready") or {}).get("status") == "True"


def _is_out_of_service(node: Object | None) -> bool:
    taints = (node.get("spec") or {}).get("taints") or () if node is not None else ()
    return any(taint.get("key") == _OUT_OF_SERVICE and taint.get("effect") == "NoExecute" for taint in taints)


def _reported(node: Object | None, snapshot: Snapshot, without: str = "") -> tuple[Change, ...]:
    """Bring the node's list of its volumes up to date; nothing where it is."""
    if node is None:
        return ()
    name = node["metadata"]["name"]
    before = {each["name"]: each for each in (node.get("status") or {}).get("volumesAttached") or ()}
    after = {found: before.get(found, {"name": found, "devicePath": ""}) for found in _names(node, snapshot, without)}
    if list(after) == sorted(before):
        return ()
    patch = {"metadata": {"uid": node["metadata"]["uid"]}, "status": {"volumesAttached": list(after.values())}}
    return (Patch(NODES, "", name, patch, subresource="status"),)


def _names(node: Object, snapshot: Snapshot, without: str) -> list[str]:
    """The volumes that the node may have: attached, and used there by a pod or still mounted."""
    found, name = set(), node["metadata"]["name"]
    for attachment in attachable.of_node(name, snapshot):
        meta, wanted = attachment["metadata"], attachable.volume_name(attachment)
        volume = snapshot.get(PVS, "", wanted)
        if meta["name"] == without or meta.get("deletionTimestamp") or volume is None or "csi" not in volume["spec"]:
            continue
        if not (attachment.get("status") or {}).get("attached"):
            continue
        if _is_in_use(attachment, node, snapshot) or attachable.on_node(attachable.users_of(wanted, snapshot), name):
            found.add(attachable.reported_name(volume))
    return sorted(found)
