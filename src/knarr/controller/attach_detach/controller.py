"""The attach/detach controller: rounds of pods and of attachments.

Input: whichever of pods, claims, volumes, attachments and nodes has changed. Output: the rounds of `attaching` and
`detaching`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from knarr.api.registry import CSIDRIVERS, NODES, PODS, PVCS, PVS, VOLUMEATTACHMENTS
from knarr.api.semantics import pod_claims
from knarr.apimachinery.types import Object
from knarr.controller.attach_detach import attachable, attaching, detaching
from knarr.controller_runtime.changes import DONE, Context, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of, nobody
from knarr.controller_runtime.snapshot import CLAIM, NODE, VOLUME, Key, Snapshot


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Take the next step of a pod or of an attachment."""
    obj = snapshot.get(*key)
    if obj is None:
        return DONE
    if key.resource is PODS:
        return attaching.sync(obj, snapshot, context)
    return detaching.sync(obj, snapshot, context)


def _woken_by_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A pod that has a node and claims wakes itself; once it ends, the attachments of its volumes."""
    pod = new or old or {}
    if not (pod.get("spec") or {}).get("nodeName"):
        return ()
    names = list(pod_claims.names(pod))
    if not names:
        return ()
    if new is not None and not attachable.has_ended(new):
        return [key_of(PODS, new)] if old is None or _place(old) != _place(new) else ()
    if new is not None and old is not None and attachable.has_ended(old):
        return ()
    return set(_attachments(pod["metadata"]["namespace"], names, snapshot))


def _place(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["uid"], (pod.get("spec") or {}).get("nodeName", "")


def _attachments(namespace: str, claim_names: Iterable[str], snapshot: Snapshot) -> Iterator[Key]:
    for name in claim_names:
        for volume in snapshot.indexed(PVS, CLAIM, f"{namespace}/{name}"):
            for attachment in snapshot.indexed(VOLUMEATTACHMENTS, VOLUME, volume["metadata"]["name"]):
                yield key_of(VOLUMEATTACHMENTS, attachment)


def _woken_by_claim(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A claim that was bound wakes its pods."""
    if new is None or not (new.get("spec") or {}).get("volumeName"):
        return ()
    if old is not None and (old.get("spec") or {}).get("volumeName"):
        return ()
    meta = new["metadata"]
    return [key_of(PODS, pod) for pod in snapshot.indexed(PODS, CLAIM, f"{meta['namespace']}/{meta['name']}")]


def _woken_by_volume(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A volume whose claim has changed wakes that claim's pods, and its own attachments."""
    if old is not None and new is not None and old["spec"] == new["spec"]:
        return ()
    name = (new or old or {})["metadata"]["name"]
    pods = attachable.users_of(name, snapshot)
    attachments = snapshot.indexed(VOLUMEATTACHMENTS, VOLUME, name)
    return [*(key_of(PODS, pod) for pod in pods), *(key_of(VOLUMEATTACHMENTS, each) for each in attachments)]


def _woken_by_attachment(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """An attachment wakes itself; one that is gone, the pods that may have its volume now."""
    if new is not None:
        return [key_of(VOLUMEATTACHMENTS, new)]
    pods = attachable.users_of(attachable.volume_name(old or {}), snapshot)
    return [key_of(PODS, pod) for pod in pods]


def _woken_by_node(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A node wakes its attachments when what they depend on has changed, and its pods when it comes."""
    if old is not None and new is not None and _relevant(old) == _relevant(new):
        return ()
    name = (new or old or {})["metadata"]["name"]
    attachments = [key_of(VOLUMEATTACHMENTS, each) for each in snapshot.indexed(VOLUMEATTACHMENTS, NODE, name)]
    if new is None or (old is not None and _relevant(old)[0] == _relevant(new)[0]):
        return attachments
    pods = [key_of(PODS, pod) for pod in snapshot.indexed(PODS, NODE, name) if any(pod_claims.names(pod))]
    return [*attachments, *pods]


def _relevant(node: Object) -> tuple[object, ...]:
    status = node.get("status") or {}
    ready = [each.get("status") for each in status.get("conditions") or () if each.get("type") == "Ready"]
    taints = (node.get("spec") or {}).get("taints")
    notes = node["metadata"].get("annotations") or {}
    managed = notes.get("volumes.kubernetes.io/controller-managed-attach-detach")
    return (node["metadata"]["uid"], managed), ready, taints, status.get("volumesInUse"), status.get("volumesAttached")


CONTROLLER = Controller(
    name="attachdetach-controller",
    title="persistentvolume-attach-detach-controller",
    resource=VOLUMEATTACHMENTS,
    watches=(
        Watch(PODS, _woken_by_pod),
        Watch(PVCS, _woken_by_claim),
        Watch(PVS, _woken_by_volume),
        Watch(VOLUMEATTACHMENTS, _woken_by_attachment),
        Watch(NODES, _woken_by_node),
        Watch(CSIDRIVERS, nobody),
    ),
    writes=("create, delete volumeattachments", "patch nodes/status"),
    reconcile=reconcile,
    workers=1,
)
