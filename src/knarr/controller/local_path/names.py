"""What the local-path provisioner calls things."""

from __future__ import annotations

from dataclasses import dataclass

from knarr.api.semantics.volume_binding import annotations_of
from knarr.apimachinery.types import Object

PROVISIONER = "rancher.io/local-path"
CLASS = "local-path"
NAMESPACE = "kube-system"
HOSTNAME = "kubernetes.io/hostname"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
ASKED = "volume.kubernetes.io/storage-provisioner"
#: What begins the names of the pods that make and remove folders; the name of the volume follows.
CREATE, DELETE = "helper-pod-create-", "helper-pod-delete-"


@dataclass(frozen=True, slots=True)
class Settings:
    """`folder` on each node holds the volumes; `image` has a shell, with `mkdir` and `rm`."""

    folder: str
    image: str


def is_ours(volume: Object) -> bool:
    """Whether a volume was made here."""
    return annotations_of(volume).get(PROVISIONED_BY) == PROVISIONER


def volume_name(claim: Object) -> str:
    """The volume of a claim."""
    return f"pvc-{claim['metadata']['uid']}"


def folder_name(claim: Object) -> str:
    """The folder of a claim."""
    meta = claim["metadata"]
    return f"{volume_name(claim)}_{meta['namespace']}_{meta['name']}"


def path_of(volume: Object) -> str:
    """The folder of a volume; empty for one that is none."""
    return str((volume["spec"].get("hostPath") or {}).get("path") or "")


def node_of(volume: Object) -> str:
    """The host name of the node that a volume lies on; empty if it does not say."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for wanted in term.get("matchExpressions") or ():
            if wanted.get("key") == HOSTNAME and wanted.get("values"):
                return str(wanted["values"][0])
    return ""
