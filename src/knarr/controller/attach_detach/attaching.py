"""One round of a pod: attachments for what it uses and its node does not have yet.

Input: a pod with a node, its volumes, the attachments there are. Output: attachments to make, or the event that says
which pods hold a volume that only one node may have. Invariant: an exclusive volume is not attached to a second node.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.registry import VOLUMEATTACHMENTS
from knarr.apimachinery.types import Object
from knarr.controller.attach_detach import attachable
from knarr.controller_runtime.changes import DONE, Context, Create, EventNote, Result
from knarr.controller_runtime.snapshot import Snapshot

FAILED = "FailedAttachVolume"
_SHARED_MODES = {"ReadOnlyMany", "ReadWriteMany"}
_EXCLUSIVE = "Volume is already exclusively attached to one node and can't be attached to another"


def sync(pod: Object, snapshot: Snapshot, context: Context) -> Result:
    """Attach what a pod needs."""
    node_name = (pod.get("spec") or {}).get("nodeName")
    if not node_name or attachable.has_ended(pod) or not attachable.is_managed(node_name, snapshot):
        return DONE
    creates, events = [], []
    for volume in attachable.volumes_of(pod, snapshot):
        name = attachable.attachment_name(volume, node_name)
        if snapshot.get(VOLUMEATTACHMENTS, "", name) is not None:
            continue
        if attachable.elsewhere(volume, node_name, snapshot) and not _may_be_shared(volume):
            events.append(_multi_attach(pod, volume, snapshot))
            continue
        shown = volume["metadata"]["name"]
        failed = EventNote(pod, "Warning", FAILED, f'AttachVolume.Attach failed for volume "{shown}" : {{error}}')
        creates.append(Create(VOLUMEATTACHMENTS, _attachment(name, volume, node_name), failed=failed))
    return Result(tuple(creates), tuple(events))


def _may_be_shared(volume: Object) -> bool:
    """Whether several nodes may have a volume; one that says nothing of it is believed to be able to."""
    modes = set(volume["spec"].get("accessModes") or ())
    return not modes or bool(modes & _SHARED_MODES)


def _attachment(name: str, volume: Object, node_name: str) -> Object:
    return {
        "apiVersion": VOLUMEATTACHMENTS.api_version,
        "kind": VOLUMEATTACHMENTS.kind,
        "metadata": {"name": name},
        "spec": {
            "attacher": volume["spec"]["csi"]["driver"],
            "nodeName": node_name,
            "source": {"persistentVolumeName": volume["metadata"]["name"]},
        },
    }


def _multi_attach(pod: Object, volume: Object, snapshot: Snapshot) -> EventNote:
    name = volume["metadata"]["name"]
    text = f'Multi-Attach error for volume "{name}" {_holders(pod, attachable.users_of(name, snapshot))}'
    return EventNote(pod, "Warning", FAILED, text)


def _holders(pod: Object, users: Sequence[Object]) -> str:
    """Who has the volume; pods of other namespaces are counted and not named."""
    node, namespace = pod["spec"]["nodeName"], pod["metadata"]["namespace"]
    others = [each for each in users if (each.get("spec") or {}).get("nodeName") not in (None, "", node)]
    near = sorted(each["metadata"]["name"] for each in others if each["metadata"]["namespace"] == namespace)
    far = len(others) - len(near)
    if not others:
        return _EXCLUSIVE
    if not near:
        return f"Volume is already used by {far} pod(s) in different namespaces"
    more = f" and {far} pod(s) in different namespaces" if far else ""
    return f"Volume is already used by pod(s) {', '.join(near)}{more}"
