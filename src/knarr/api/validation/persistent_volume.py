"""PersistentVolumes."""

from __future__ import annotations

from knarr.api.validation import names, quantities
from knarr.api.validation.checks import Errors, immutable, items, one_of, required_text, texts
from knarr.api.validation.go_values import internal, internal_fields
from knarr.api.validation.kind import META_AS_CREATED, Kind
from knarr.api.validation.paths import no_backsteps
from knarr.api.validation.persistent_volume_claim import VOLUME_MODES, check_access_modes
from knarr.api.validation.pod.volumes import check_host_path
from knarr.api.validation.selectors import check_node_selector
from knarr.api.validation.struct_diff import value_diff
from knarr.api.validation.volume_sources import SOURCES, check_csi_driver
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_RECLAIM = ("Delete", "Recycle", "Retain")
_SOURCE_LIMIT = "may not specify more than 1 volume type"
_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")
_BETA = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}


def _create(errors: Errors, obj: Object) -> None:
    name = (obj.get("metadata") or {}).get("name", "")
    check_source_spec(errors, obj.get("spec") or {}, "spec", name=name, inline=False)


def check_source_spec(errors: Errors, spec: Object, path: str, *, name: str, inline: bool) -> None:
    """A volume's spec; `inline`: the part of it that a VolumeAttachment carries."""
    if inline:
        _check_inline(errors, spec, path)
    modes = items(spec, "accessModes")
    if not modes:
        errors.append(field.required(f"{path}.accessModes"))
    check_access_modes(errors, modes, f"{path}.accessModes")
    if not inline:
        _check_capacity(errors, spec, path)
        policy = spec.get("persistentVolumeReclaimPolicy", "")
        if policy:
            one_of(errors, f"{path}.persistentVolumeReclaimPolicy", policy, _RECLAIM)
    has_affinity = _check_affinity(errors, spec.get("nodeAffinity"), f"{path}.nodeAffinity")
    _check_sources(errors, spec, path, has_affinity=has_affinity, name=name)
    _check_rest(errors, spec, path, inline=inline)


def _check_inline(errors: Errors, spec: Object, path: str) -> None:
    for key in ("capacity", "claimRef"):
        if spec.get(key):
            errors.append(field.forbidden(f"{path}.{key}", "may not be specified in the context of inline volumes"))
    if spec.get("csi") is None:
        errors.append(field.required(f"{path}.csi", "has to be specified in the context of inline volumes"))


def _check_capacity(errors: Errors, spec: Object, path: str) -> None:
    capacity = spec.get("capacity") or {}
    if not capacity:
        errors.append(field.required(f"{path}.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        shown = spec.get("capacity")
        errors.append(field.not_supported(f"{path}.capacity", shown, ("storage",)))
    for key, text in capacity.items():
        value, here = quantities.parse(text), f"{path}.capacity[{key}]"
        quantities.check_value(errors, here, key, value)
        if key == "storage" and value.sign <= 0:
            errors.append(field.invalid(here, str(value), "must be greater than zero"))


def _check_affinity(errors: Errors, affinity: Object | None, path: str) -> bool:
    if affinity is None:
        return False
    if affinity.get("required") is None:
        errors.append(field.required(f"{path}.required", "must specify required node constraints"))
    else:
        check_node_selector(errors, affinity["required"], f"{path}.required")
    return True


def _check_sources(errors: Errors, spec: Object, path: str, *, has_affinity: bool, name: str) -> None:
    given = [key for key in spec if key in SOURCES or key in ("hostPath", "local", "csi")]
    if not given:
        errors.append(field.required(path, "must specify a volume type"))
    for at, key in enumerate(given):
        here = f"{path}.{'persistentDisk' if key == 'gcePersistentDisk' else key}"
        if at:
            errors.append(field.forbidden(here, _SOURCE_LIMIT))
        elif key == "hostPath":
            check_host_path(errors, spec[key], here)
        elif key == "local":
            _check_local(errors, spec[key], here)
            if not has_affinity:
                errors.append(field.required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
        elif key == "csi":
            check_csi(errors, spec[key], here)
        else:
            SOURCES[key](errors, spec[key], here)


def _check_local(errors: Errors, source: Object, path: str) -> None:
    target = source.get("path", "")
    if not target:
        errors.append(field.required(f"{path}.path"))
        return
    no_backsteps(errors, target, f"{path}.path")


def check_csi(errors: Errors, source: Object, path: str) -> None:
    """The CSI source of a PersistentVolume."""
    check_csi_driver(errors, source.get("driver", ""), f"{path}.driver")
    required_text(errors, f"{path}.volumeHandle", source.get("volumeHandle"))
    for key in _SECRETS:
        ref = source.get(key)
        if ref is not None:
            for part in ("name", "namespace"):
                required_text(errors, f"{path}.{key}.{part}", ref.get(part))


def _check_rest(errors: Errors, spec: Object, path: str, *, inline: bool) -> None:
    host = (spec.get("hostPath") or {}).get("path", "")
    if host and spec.get("persistentVolumeReclaimPolicy") == "Recycle" and host.rstrip("/") in ("", "/."):
        wrong = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(field.forbidden(f"{path}.persistentVolumeReclaimPolicy", wrong))
    name = spec.get("storageClassName", "")
    if name:
        if inline:
            wrong = "may not be specified in the context of inline volumes"
            errors.append(field.forbidden(f"{path}.storageClassName", wrong))
        else:
            texts(errors, f"{path}.storageClassName", name, names.dns_subdomain(name))
    if spec.get("volumeMode") is not None:
        one_of(errors, f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES)
    attributes = spec.get("volumeAttributesClassName")
    if attributes is None:
        return
    here = f"{path}.volumeAttributesClassName"
    if not attributes:
        errors.append(field.required(here, "an empty string is disallowed"))
    else:
        texts(errors, here, attributes, names.dns_subdomain(attributes))
    if spec.get("csi") is None:
        wrong = "has to be specified when using volumeAttributesClassName"
        errors.append(field.required(f"{path}.csi", wrong))


def _sources(spec: Object) -> Object:
    return {key: value for key, value in spec.items() if key in SOURCES or key in ("hostPath", "local", "csi")}


_SOURCE_ORDER = (
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "hostPath",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "flexVolume",
    "cinder",
    "cephfs",
    "fc",
    "flocker",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)


def _update(errors: Errors, obj: Object, old: Object) -> None:
    # Kubernetes judges the new volume as one to create, and once more as a change.
    _create(errors, obj)
    _create(errors, obj)
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    new_source, old_source = _sources(spec), _sources(before)
    for key in ("controllerExpandSecretRef",):
        # Expansion may get its secret later.
        if "csi" in new_source and "csi" in old_source and key not in old_source["csi"]:
            new_source = {**new_source, "csi": {k: v for k, v in new_source["csi"].items() if k != key}}
    if new_source != old_source:
        before_shown, shown = (
            internal_fields("core.v1.PersistentVolumeSpec", source, _SOURCE_ORDER)
            for source in (old_source, new_source)
        )
        diff = value_diff(before_shown, shown)
        wrong = f"spec.persistentvolumesource is immutable after creation\n{diff}"
        errors.append(field.forbidden("spec.persistentvolumesource", wrong))
    immutable(errors, "volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
    _check_affinity_kept(errors, spec, before)


def _check_affinity_kept(errors: Errors, spec: Object, before: Object) -> None:
    new, old = spec.get("nodeAffinity"), before.get("nodeAffinity")
    if old is None or new == old:
        return
    if new is not None and _renamed(new) == _renamed(old):
        return
    wrong = "field is immutable, except for updating from beta label to GA"
    errors.append(field.invalid("nodeAffinity", internal("core.v1.VolumeNodeAffinity", new), wrong))


def _renamed(affinity: Object) -> list[object]:
    out: list[object] = []
    for term in items(affinity.get("required") or {}, "nodeSelectorTerms"):
        given = items(term, "matchExpressions")
        keys = [item.get("key", "") for item in given]
        expressions = [{**item, "key": _BETA.get(key, key)} for key, item in zip(keys, given, strict=True)]
        out.append((expressions, term.get("matchFields")))
    return out


def _status(errors: Errors, obj: Object, old: Object) -> None:
    if not (obj.get("metadata") or {}).get("resourceVersion"):
        errors.append(field.required("resourceVersion"))


def _warn(obj: Object, old: Object | None) -> list[str]:
    spec = obj.get("spec") or {}
    out: list[str] = []
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    for key, text in _ANNOTATIONS.items():
        if key in annotations:
            out.append(f"metadata.annotations[{key}]: {text}")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        wrong = "The Recycle reclaim policy is deprecated."
        wrong += " Instead, the recommended approach is to use dynamic provisioning."
        out.append(f"spec.persistentVolumeReclaimPolicy: {wrong}")
    for key, text in _DEPRECATED.items():
        if key in spec:
            out.append(f"spec.{key}: {text}")
    return out


_ANNOTATIONS = {
    "volume.beta.kubernetes.io/storage-class": 'deprecated since v1.8; use "storageClassName" attribute instead',
    "volume.beta.kubernetes.io/mount-options": 'deprecated since v1.31; use "mountOptions" attribute instead',
}
_DEPRECATED = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}

PERSISTENTVOLUMES = Kind(_create, _update, {"status": _status}, warnings=_warn, update_meta=META_AS_CREATED)
