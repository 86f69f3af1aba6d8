"""Defaults of storage.k8s.io/v1."""

from __future__ import annotations

from typing import Any

from knarr.api.defaults import resource_lists, volumes
from knarr.apimachinery.types import Object


def storage_class(obj: Object) -> None:
    """Reclaim policy and when to bind."""
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def csi_driver(obj: Object) -> None:
    """What a driver can do and needs."""
    spec = obj["spec"]
    defaults: dict[str, Any] = {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "requiresRepublish": False,
        "seLinuxMount": False,
    }
    for name, value in defaults.items():
        spec.setdefault(name, value)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def volume_attachment(obj: Object) -> None:
    """What the source of an inline volume leaves open."""
    inline = obj["spec"]["source"].get("inlineVolumeSpec")
    if inline is not None:
        resource_lists.round_up(inline, "capacity")
        volumes.persistent_source(inline)
