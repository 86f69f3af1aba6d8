"""Rows of volumes and what provides them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from knarr.api.printers.text import UNSET, age, joined
from knarr.apimachinery.types import Object

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def volume(obj: Object, now: datetime) -> list[Any]:
    """Name, capacity, modes, reclaim policy, status, claim, class, attributes class, reason, age; volume mode."""
    spec, status, meta = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    claim = spec.get("claimRef")
    phase = "Terminating" if "deletionTimestamp" in meta else status.get("phase", "")
    attributes = spec.get("volumeAttributesClassName")
    return [
        meta["name"],
        (spec.get("capacity") or {}).get("storage", "0"),
        _modes(spec.get("accessModes") or ()),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        UNSET if attributes is None else attributes,
        status.get("reason", ""),
        age(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def claim(obj: Object, now: datetime) -> list[Any]:
    """Name, status, volume, capacity, modes, class, attributes class, age; volume mode."""
    spec, status, meta = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    bound, attributes = bool(spec.get("volumeName")), spec.get("volumeAttributesClassName")
    return [
        meta["name"],
        "Terminating" if "deletionTimestamp" in meta else status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        _modes(status.get("accessModes") or ()) if bound else "",
        _class(obj),
        UNSET if attributes is None else attributes,
        age(obj, now),
        spec.get("volumeMode") or UNSET,
    ]


def _modes(modes: Iterable[str]) -> str:
    given = set(modes)
    return joined((short for name, short in _MODES.items() if name in given), "")


def _class(obj: Object) -> str:
    old = (obj["metadata"].get("annotations") or {}).get(_OLD_CLASS)
    return str(old if old is not None else (obj.get("spec") or {}).get("storageClassName") or "")


def storage_class(obj: Object, now: datetime) -> list[Any]:
    """Name (the default one marked), provisioner, policies, age."""
    name, notes = obj["metadata"]["name"], obj["metadata"].get("annotations") or {}
    if any(notes.get(key) == "true" for key in _DEFAULT):
        name += " (default)"
    policy, binding = obj.get("reclaimPolicy", "Delete"), obj.get("volumeBindingMode", "Immediate")
    return [name, obj.get("provisioner", ""), policy, binding, bool(obj.get("allowVolumeExpansion")), age(obj, now)]


def attributes_class(obj: Object, now: datetime) -> list[Any]:
    """Name, driver, age."""
    return [obj["metadata"]["name"], obj.get("driverName", ""), age(obj, now)]


def attachment(obj: Object, now: datetime) -> list[Any]:
    """Name, attacher, volume, node, attached, age."""
    spec = obj.get("spec") or {}
    name = (spec.get("source") or {}).get("persistentVolumeName") or ""
    attached = bool((obj.get("status") or {}).get("attached"))
    return [obj["metadata"]["name"], spec.get("attacher", ""), name, spec.get("nodeName", ""), attached, age(obj, now)]


def csi_driver(obj: Object, now: datetime) -> list[Any]:
    """Name, what it needs and can, age."""
    spec = obj.get("spec") or {}
    attach = spec.get("attachRequired", True)
    tokens = spec.get("tokenRequests")
    audiences = UNSET if tokens is None else joined((one.get("audience", "") for one in tokens), "")
    capacity, republish = bool(spec.get("storageCapacity")), bool(spec.get("requiresRepublish"))
    modes = joined(spec.get("volumeLifecycleModes") or ())
    shown = [attach, bool(spec.get("podInfoOnMount")), capacity, audiences, republish, modes]
    return [obj["metadata"]["name"], *shown, age(obj, now)]


def csi_node(obj: Object, now: datetime) -> list[Any]:
    """Name, drivers, age."""
    return [obj["metadata"]["name"], len((obj.get("spec") or {}).get("drivers") or ()), age(obj, now)]
