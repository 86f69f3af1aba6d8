"""The local-path provisioner: rounds of claims, of volumes, and of its storage class.

Input: whichever of claims, volumes, helper pods and nodes has changed. Output: the rounds of `provisioning` and
`reclaiming`. The class is made when the controllers start; who deletes it has it gone until then.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.registry import NAMESPACES, NODES, PODS, PVCS, PVS, STORAGECLASSES
from knarr.api.semantics.volume_binding import SELECTED_NODE, annotations_of
from knarr.apimachinery.types import Object
from knarr.controller.local_path import names, provisioning, reclaiming
from knarr.controller.local_path.names import Settings
from knarr.controller_runtime.changes import DONE, Context, Create, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of, nobody
from knarr.controller_runtime.snapshot import Key, Snapshot

_CLASS = {
    "apiVersion": STORAGECLASSES.api_version,
    "kind": STORAGECLASSES.kind,
    "metadata": {"name": names.CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": names.PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def controller(folder: str, image: str) -> Controller:
    """The controller whose volumes lie in `folder` of each node; `image` is that of its helper pods."""
    settings = Settings(folder.rstrip("/"), image)

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        if key.resource is STORAGECLASSES:
            return DONE if snapshot.get(*key) is not None else Result((Create(STORAGECLASSES, _CLASS),))
        if key.resource is PVS:
            return reclaiming.sync(key, snapshot, context, settings)
        claim = snapshot.get(*key)
        return DONE if claim is None else provisioning.sync(claim, snapshot, context, settings)

    return Controller(
        name="local-path-provisioner",
        component=names.PROVISIONER,
        resource=PVCS,
        watches=(
            Watch(PVCS, _woken_by_claim),
            Watch(PVS, _woken_by_volume),
            Watch(PODS, _woken_by_pod),
            Watch(NODES, _woken_by_node),
            Watch(NAMESPACES, _woken_by_namespace),
            Watch(STORAGECLASSES, nobody),
        ),
        writes=(
            "create storageclasses",
            "create, delete persistentvolumes",
            "update persistentvolumeclaims",
            "create, delete pods",
        ),
        reconcile=reconcile,
    )


def _woken_by_claim(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    claim = new or old or {}
    return [key_of(PVCS, claim)] if annotations_of(claim).get(names.ASKED) == names.PROVISIONER else ()


def _woken_by_volume(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A volume wakes itself and the claim it was made for."""
    volume = new or old or {}
    if not names.is_ours(volume):
        return ()
    ref = volume["spec"].get("claimRef") or {}
    return key_of(PVS, volume), Key(PVCS, ref.get("namespace", ""), ref.get("name", ""))


def _woken_by_pod(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A helper pod wakes what it was made for."""
    meta = (new or old or {})["metadata"]
    if meta["namespace"] != names.NAMESPACE:
        return ()
    name = str(meta["name"])
    if name.startswith(names.DELETE):
        return [Key(PVS, "", name.removeprefix(names.DELETE))]
    if not name.startswith(names.CREATE):
        return ()
    uid = name.removeprefix(f"{names.CREATE}pvc-")
    return [key_of(PVCS, claim) for claim in snapshot.list(PVCS) if claim["metadata"].get("uid") == uid]


def _woken_by_node(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """A node that is gone wakes the claims it was chosen for, and the volumes that lay on it."""
    if new is not None or old is None:
        return ()
    name = old["metadata"]["name"]
    claims = [each for each in snapshot.list(PVCS) if annotations_of(each).get(SELECTED_NODE) == name]
    volumes = [each for each in snapshot.list(PVS) if names.is_ours(each)]
    return [*(key_of(PVCS, each) for each in claims), *(key_of(PVS, each) for each in volumes)]


def _woken_by_namespace(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    """At the start, the class is made."""
    if old is not None or new is None or new["metadata"]["name"] != names.NAMESPACE:
        return ()
    return [Key(STORAGECLASSES, "", names.CLASS)]
