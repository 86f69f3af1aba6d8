"""Which volumes of a pod are attached to its node, and what they are called.

Input: pods, claims, volumes, drivers. Output: the attachable volumes of a pod, names of attachments and of volumes as
a node reports them. Only CSI drivers attach: all that was once part of Kubernetes has moved there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from knarr.api.registry import CSIDRIVERS, NODES, PODS, PVCS, PVS, VOLUMEATTACHMENTS
from knarr.api.semantics import pod_claims
from knarr.apimachinery.types import Object
from knarr.controller_runtime.snapshot import CLAIM, NODE, VOLUME, Snapshot

_MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
_OWN_NAME = re.compile(r"csi-[0-9a-f]{64}")


def volumes_of(pod: Object, snapshot: Snapshot) -> Iterator[Object]:
    """The bound volumes of a pod that a driver must attach."""
    namespace = pod["metadata"]["namespace"]
    for name in pod_claims.names(pod):
        claim = snapshot.get(PVCS, namespace, name)
        bound = (claim.get("spec") or {}).get("volumeName") if claim is not None else None
        volume = snapshot.get(PVS, "", bound) if bound else None
        if claim is not None and volume is not None and _is_pair(volume, claim) and _is_attachable(volume, snapshot):
            yield volume


def _is_pair(volume: Object, claim: Object) -> bool:
    return bool((volume["spec"].get("claimRef") or {}).get("uid") == claim["metadata"]["uid"])


def _is_attachable(volume: Object, snapshot: Snapshot) -> bool:
    driver_name = (volume["spec"].get("csi") or {}).get("driver")
    if not driver_name:
        return False
    driver = snapshot.get(CSIDRIVERS, "", driver_name)
    return driver is None or (driver.get("spec") or {}).get("attachRequired") is not False


def users_of(volume_name: str, snapshot: Snapshot) -> list[Object]:
    """The pods whose claim is bound to a volume and that may still run."""
    volume = snapshot.get(PVS, "", volume_name)
    ref = (volume["spec"].get("claimRef") if volume is not None else None) or {}
    pods = snapshot.indexed(PODS, CLAIM, f"{ref.get('namespace', '')}/{ref.get('name', '')}")
    return [pod for pod in pods if not has_ended(pod)]


def on_node(pods: list[Object], node_name: str) -> list[Object]:
    """Those of some pods that were given to a node."""
    return [pod for pod in pods if (pod.get("spec") or {}).get("nodeName") == node_name]


def has_ended(pod: Object) -> bool:
    """Whether no container of a pod runs any more."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    states = [each.get("state") or {} for each in status.get("containerStatuses") or ()]
    return bool(pod["metadata"].get("deletionTimestamp")) and not any(state.get("running") for state in states)


def is_managed(node_name: str, snapshot: Snapshot) -> bool:
    """Whether a node leaves attaching to this controller."""
    node = snapshot.get(NODES, "", node_name)
    return node is not None and (node["metadata"].get("annotations") or {}).get(_MANAGED) == "true"


def attachment_name(volume: Object, node_name: str) -> str:
    """What the attachment of a volume to a node is called: the same name each time."""
    source = volume["spec"]["csi"]
    text = f"{source['volumeHandle']}{source['driver']}{node_name}"
    return "csi-" + hashlib.sha256(text.encode()).hexdigest()


def is_own(attachment: Object) -> bool:
    """Whether an attachment may have been made here; others are their makers'."""
    name = attachment["metadata"]["name"]
    return bool(_OWN_NAME.fullmatch(name)) and bool(volume_name(attachment))


def volume_name(attachment: Object) -> str:
    """The volume that is attached."""
    return str(((attachment.get("spec") or {}).get("source") or {}).get("persistentVolumeName") or "")


def reported_name(volume: Object) -> str:
    """What a node calls a volume in its status."""
    source = volume["spec"]["csi"]
    return f"kubernetes.io/csi/{source['driver']}^{source['volumeHandle']}"


def elsewhere(volume: Object, node_name: str, snapshot: Snapshot) -> list[str]:
    """The other nodes that a volume is attached to, or about to be."""
    found = snapshot.indexed(VOLUMEATTACHMENTS, VOLUME, volume["metadata"]["name"])
    return sorted({str(each["spec"]["nodeName"]) for each in found if each["spec"]["nodeName"] != node_name})


def of_node(node_name: str, snapshot: Snapshot) -> list[Object]:
    """The attachments to a node that were made here."""
    return [each for each in snapshot.indexed(VOLUMEATTACHMENTS, NODE, node_name) if is_own(each)]
