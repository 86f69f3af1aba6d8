"""Tells of claims that want more than they have: who makes volumes larger stands outside of Kubernetes.

Input: a bound claim and its volume. Output: an event, and for volumes whose plugin has moved into a CSI driver the
annotation that names the driver's resizer.
Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import PVCS, PVS
from knarr.api.semantics.volume_binding import annotations_of
from knarr.apimachinery import quantity
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object
from knarr.controller_runtime.changes import DONE, Context, EventNote, Patch, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of, nobody
from knarr.controller_runtime.snapshot import Key, Snapshot

_RESIZER = "volume.kubernetes.io/storage-resizer"
_BEFORE = "volume.alpha.kubernetes.io/pre-resize-capacity"
_REASON = "ExternalExpanding"
_MESSAGE = "waiting for an external controller to expand this PVC"
_MIGRATED = {
    "awsElasticBlockStore": ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    "azureDisk": ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    "azureFile": ("kubernetes.io/azure-file", "file.csi.azure.com"),
    "cinder": ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    "gcePersistentDisk": ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    "portworxVolume": ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
    "vsphereVolume": ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
}


def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
    """Tell of a claim that waits to grow."""
    claim = snapshot.get(*key)
    if claim is None:
        return DONE
    volume = snapshot.get(PVS, "", (claim.get("spec") or {}).get("volumeName") or "-")
    if volume is None or (volume["spec"].get("claimRef") or {}).get("uid") != claim["metadata"]["uid"]:
        return DONE
    if not _wants_more(claim) and _BEFORE not in annotations_of(volume):
        return DONE
    plugin = next((source for source in _MIGRATED if volume["spec"].get(source)), "")
    if not plugin:
        return Result(events=(EventNote(claim, "Warning", _REASON, _MESSAGE),))
    name, driver = _MIGRATED[plugin]
    text = f"CSI migration enabled for {name}; waiting for external resizer to expand the pvc"
    note = EventNote(claim, "Normal", _REASON, text)
    if annotations_of(claim).get(_RESIZER) == driver:
        return Result(events=(note,))
    patch = {"metadata": {"uid": claim["metadata"]["uid"], "annotations": {_RESIZER: driver}}}
    return Result((Patch(PVCS, key.namespace, key.name, patch, subresource="status", done=note),))


def _wants_more(claim: Object) -> bool:
    wanted = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage")
    has = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    return has is not None and _size(wanted) > _size(has)


def _size(text: object) -> Quantity:
    return quantity.from_json(text or "0")


def _grown(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A bound claim whose request has changed."""
    if new is None or (new.get("status") or {}).get("phase") != "Bound":
        return ()
    same = old is not None and old["spec"].get("resources") == new["spec"].get("resources")
    return () if same else [key_of(PVCS, new)]


CONTROLLER = Controller(
    name="expand-controller",
    title="persistentvolume-expander-controller",
    component="volume_expand",
    resource=PVCS,
    watches=(Watch(PVCS, _grown), Watch(PVS, nobody)),
    writes=("patch persistentvolumeclaims/status",),
    reconcile=reconcile,
)
