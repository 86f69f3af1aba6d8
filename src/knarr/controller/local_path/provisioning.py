"""One round of a claim: a folder on the node that was chosen for its pod, then a volume that stands for it.

Input: a claim, its node, its helper pod. Output: the helper pod, the volume. Invariant: the volume is made only after
the folder was; a crash in between finds the helper pod, or makes the folder, which is there already, again.
"""

from __future__ import annotations

import posixpath

from knarr.api.registry import NODES, PODS, PVCS, PVS, STORAGECLASSES
from knarr.api.semantics.volume_binding import SELECTED_NODE, annotations_of, class_name
from knarr.apimachinery.types import Object
from knarr.controller.local_path import helper, names
from knarr.controller.local_path.names import NAMESPACE, Settings
from knarr.controller_runtime.changes import DONE, Change, Context, Create, Delete, EventNote, Result, Update
from knarr.controller_runtime.snapshot import Snapshot

_MODES = {"ReadWriteOnce", "ReadWriteOncePod"}
#: Seconds until a failed provisioning is tried again.
_PAUSE = 15.0


def sync(claim: Object, snapshot: Snapshot, context: Context, settings: Settings) -> Result:
    """Take the next step of a claim."""
    volume_name = names.volume_name(claim)
    pod = snapshot.get(PODS, NAMESPACE, names.CREATE + volume_name)
    if not _is_wanted(claim) or snapshot.get(PVS, "", volume_name) is not None:
        return Result(_gone(pod))
    storage_class = snapshot.get(STORAGECLASSES, "", class_name(claim))
    node = snapshot.get(NODES, "", annotations_of(claim)[SELECTED_NODE])
    if storage_class is None:
        return DONE
    if node is None:
        # The scheduler is to choose another one.
        return Result((Update(PVCS, _without_node(claim)),))
    problem = _problem(claim)
    if problem:
        return Result(events=(_failed(claim, class_name(claim), problem),))
    path = posixpath.join(settings.folder, names.folder_name(claim))
    if pod is None:
        return _begin(claim, node, path, context, settings)
    made = _volume(claim, node, storage_class, path)
    return _go_on(claim, made, pod, context)


def _is_wanted(claim: Object) -> bool:
    notes = annotations_of(claim)
    if notes.get(names.ASKED) != names.PROVISIONER or SELECTED_NODE not in notes:
        return False
    return not claim["spec"].get("volumeName") and not claim["metadata"].get("deletionTimestamp")


def _problem(claim: Object) -> str:
    spec = claim["spec"]
    if spec.get("selector"):
        return "claim.Spec.Selector is not supported"
    if not set(spec.get("accessModes") or ()) <= _MODES:
        return "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
    return "Block volumes are not supported" if spec.get("volumeMode") == "Block" else ""


def _begin(claim: Object, node: Object, path: str, context: Context, settings: Settings) -> Result:
    meta, name = claim["metadata"], names.CREATE + names.volume_name(claim)
    text = f'External provisioner is provisioning volume for claim "{meta["namespace"]}/{meta["name"]}"'
    body = helper.pod(name, node["metadata"]["name"], path, helper.MAKE, settings)
    return Result((Create(PODS, body, done=EventNote(claim, "Normal", "Provisioning", text)),))


def _go_on(claim: Object, made: Object, pod: Object, context: Context) -> Result:
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Succeeded":
        text = f"Successfully provisioned volume {made['metadata']['name']}"
        note = EventNote(claim, "Normal", "ProvisioningSucceeded", text)
        return Result((Create(PVS, made, done=note), *_gone(pod)))
    if phase != "Failed":
        return DONE
    if context.delayed:
        # Its end wakes the claim, which begins anew.
        return Result(_gone(pod))
    problem = f"failed to create volume: {helper.failure(pod)}"
    return Result(events=(_failed(claim, class_name(claim), problem),), requeue_after=_PAUSE)


def _failed(claim: Object, name: str, problem: str) -> EventNote:
    text = f'failed to provision volume with StorageClass "{name}": {problem}'
    return EventNote(claim, "Warning", "ProvisioningFailed", text)


def _gone(pod: Object | None) -> tuple[Change, ...]:
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return ()
    return (Delete(PODS, NAMESPACE, pod["metadata"]["name"], uid=pod["metadata"]["uid"]),)


def _without_node(claim: Object) -> Object:
    notes = {name: value for name, value in annotations_of(claim).items() if name != SELECTED_NODE}
    return {**claim, "metadata": {**claim["metadata"], "annotations": notes}}


def _volume(claim: Object, node: Object, storage_class: Object, path: str) -> Object:
    meta, spec = claim["metadata"], claim["spec"]
    host = (node["metadata"].get("labels") or {}).get(names.HOSTNAME) or node["metadata"]["name"]
    wanted = [{"key": names.HOSTNAME, "operator": "In", "values": [host]}]
    ref = {"apiVersion": "v1", "kind": PVCS.kind, "namespace": meta["namespace"], "name": meta["name"]}
    body = {
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        "accessModes": spec["accessModes"],
        "volumeMode": "Filesystem",
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
        "storageClassName": storage_class["metadata"]["name"],
        "claimRef": {**ref, "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
        "hostPath": {"path": path, "type": "DirectoryOrCreate"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": wanted}]}},
    }
    notes = {
        names.PROVISIONED_BY: names.PROVISIONER,
        "local.path.provisioner/selected-node": node["metadata"]["name"],
    }
    head = {"apiVersion": "v1", "kind": PVS.kind}
    return {**head, "metadata": {"name": names.volume_name(claim), "annotations": notes}, "spec": body}
