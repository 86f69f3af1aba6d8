"""Who makes a volume for a claim, and who takes one back: provisioners outside, found by annotations.

Input: claims, volumes, storage classes. Output: drafts with the annotations and finalizers that tell external
provisioners what is theirs. Plugins that were once part of Kubernetes have moved into CSI drivers, all of them.
Source: https://kubernetes.io/docs/concepts/storage/dynamic-provisioning/ and KEP-625, KEP-2644
"""

from __future__ import annotations

from knarr.api.registry import PVCS
from knarr.api.semantics.volume_binding import annotations_of
from knarr.apimachinery.types import Object
from knarr.controller.persistent_volume import binding, drafts
from knarr.controller_runtime.changes import EventNote, Result, Update

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO = "pv.kubernetes.io/migrated-to"
_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
_BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
_FINALIZER = "kubernetes.io/pv-controller"
_IN_TREE = "kubernetes.io/"
_MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}


def provision(claim: Object, class_name: str, storage_class: Object | None) -> Result:
    """Ask the provisioner of a claim's class for a volume."""
    provisioner = str((storage_class or {}).get("provisioner", ""))
    problem = _problem(class_name, storage_class, provisioner)
    if problem:
        return Result(events=(EventNote(claim, "Warning", "ProvisioningFailed", problem),))
    external = _MIGRATED.get(provisioner, provisioner)
    message = (
        f"Waiting for a volume to be created either by the external provisioner '{external}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    note = EventNote(claim, "Normal", "ExternalProvisioning", message)
    asked = _asked(claim, external)
    if asked != claim:
        return Result((Update(PVCS, asked, done=note),))
    return binding.pending(claim, note)


def annealed_claim(claim: Object) -> Object:
    """The claim with the driver that its provisioner has moved to."""
    found = annotations_of(claim)
    provisioner = found.get(_PROVISIONER, found.get(_BETA_PROVISIONER, ""))
    return _migrated(claim, str(provisioner))


def annealed_volume(volume: Object) -> Object:
    """The volume with the driver that its provisioner has moved to, and with our finalizer only if we delete it."""
    provisioner = str(annotations_of(volume).get(PROVISIONED_BY, ""))
    found = _migrated(volume, provisioner)
    meta = volume["metadata"]
    if not provisioner or meta.get("deletionTimestamp"):
        return found
    finalizers = list(meta.get("finalizers") or ())
    ours = provisioner.startswith(_IN_TREE) and provisioner not in _MIGRATED
    wanted = ours and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    if wanted == (_FINALIZER in finalizers):
        return found
    kept = [each for each in finalizers if each != _FINALIZER]
    return {**found, "metadata": {**found["metadata"], "finalizers": [*kept, _FINALIZER] if wanted else kept}}


def is_external(provisioner: str) -> bool:
    """Whether a provisioner is a program of its own."""
    return not provisioner.startswith(_IN_TREE)


def _problem(class_name: str, storage_class: Object | None, provisioner: str) -> str:
    if storage_class is None:
        return f'storageclass.storage.k8s.io "{class_name}" not found'
    if provisioner in _MIGRATED or is_external(provisioner):
        return ""
    return f"no volume plugin matched name: {provisioner}"


def _asked(claim: Object, provisioner: str) -> Object:
    if annotations_of(claim).get(_PROVISIONER) == provisioner:
        return claim
    return drafts.noted(claim, {_BETA_PROVISIONER: provisioner, _PROVISIONER: provisioner})


def _migrated(obj: Object, provisioner: str) -> Object:
    driver, before = _MIGRATED.get(provisioner), annotations_of(obj).get(MIGRATED_TO)
    if driver is not None:
        return obj if before == driver else drafts.noted(obj, {MIGRATED_TO: driver})
    if before is None or not provisioner or provisioner in _MIGRATED.values():
        return obj
    return drafts.forgotten(obj, MIGRATED_TO)
