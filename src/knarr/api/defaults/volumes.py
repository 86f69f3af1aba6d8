"""Defaults of volumes: of pods, of persistent volumes, of attachments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from knarr.api.defaults import resource_lists
from knarr.api.defaults.containers import field_selector
from knarr.api.defaults.images import pull_policy
from knarr.apimachinery.types import Object

#: 0644
_MODE = 420
#: Sources whose defaults are plain values.
_VALUES: Mapping[str, Mapping[str, Any]] = {
    "configMap": {"defaultMode": _MODE},
    "secret": {"defaultMode": _MODE},
    "downwardAPI": {"defaultMode": _MODE},
    "projected": {"defaultMode": _MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def volume(obj: Object) -> None:
    """A volume of a pod; one without a source is an empty directory."""
    if len(obj) == 1 and "name" in obj:
        obj["emptyDir"] = {}
    for name, source in obj.items():
        for key, value in _VALUES.get(name, {}).items():
            source.setdefault(key, value)
        if name in _SOURCES:
            _SOURCES[name](source)


def persistent_source(spec: Object) -> None:
    """The source within the spec of a persistent volume."""
    for name in ("hostPath", "iscsi", "rbd", "azureDisk", "scaleIO"):
        if name in spec:
            for key, value in _VALUES[name].items():
                spec[name].setdefault(key, value)


def claim_spec(spec: Object) -> None:
    """The spec of a claim."""
    spec.setdefault("volumeMode", "Filesystem")
    resource_lists.requirements(spec.get("resources"))


def _image(source: Object) -> None:
    source.setdefault("pullPolicy", pull_policy(source.get("reference", "")))


def _ephemeral(source: Object) -> None:
    if "volumeClaimTemplate" in source:
        claim_spec(source["volumeClaimTemplate"]["spec"])


def _downward(source: Object) -> None:
    for item in source.get("items", ()):
        if "fieldRef" in item:
            field_selector(item["fieldRef"])


def _projected(source: Object) -> None:
    for part in source.get("sources") or ():
        _downward(part.get("downwardAPI", {}))
        if "serviceAccountToken" in part:
            part["serviceAccountToken"].setdefault("expirationSeconds", 3600)


_SOURCES: Mapping[str, Callable[[Object], None]] = {
    "image": _image,
    "ephemeral": _ephemeral,
    "downwardAPI": _downward,
    "projected": _projected,
}
