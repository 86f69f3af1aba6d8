"""Volume sources that pods and PersistentVolumes share."""

from __future__ import annotations

import re
from collections.abc import Callable

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, one_of, required_text
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_AZURE_MANAGED = ("/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",)
_AZURE_BLOB = ("https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",)
_IQN = re.compile(r"iqn\.\d{4}-\d{2}\.([a-z0-9-]+(\.[a-z0-9-]+)*)(:[^,;*&$|\s]+)?")
_EUI = re.compile(r"eui\.[0-9a-fA-F]{16}")
_NAA = re.compile(r"naa\.([0-9a-fA-F]{16}|[0-9a-fA-F]{32})")


def check_csi_driver(errors: Errors, driver: str, path: str) -> None:
    """The name of a CSI driver."""
    if not driver:
        errors.append(field.required(path))
        return
    if len(driver) > 63:
        errors.append(field.too_long(path, 63))
    for text in names.dns_subdomain(driver.lower()):
        errors.append(field.invalid(path, driver, text))


def _requiring(*wanted: str) -> Callable[[Errors, Object, str], None]:
    def check(errors: Errors, source: Object, path: str) -> None:
        for name in wanted:
            required_text(errors, f"{path}.{name}", source.get(name))

    return check


def _aws(errors: Errors, source: Object, path: str) -> None:
    required_text(errors, f"{path}.volumeID", source.get("volumeID"))
    _partition(errors, source, path)


def _gce(errors: Errors, source: Object, path: str) -> None:
    required_text(errors, f"{path}.pdName", source.get("pdName"))
    _partition(errors, source, path)


def _partition(errors: Errors, source: Object, path: str) -> None:
    partition = source.get("partition", 0)
    if not 0 <= partition <= 255:
        errors.append(field.invalid(f"{path}.partition", partition, "must be between 0 and 255, inclusive"))


def _nfs(errors: Errors, source: Object, path: str) -> None:
    required_text(errors, f"{path}.server", source.get("server"))
    target = source.get("path", "")
    required_text(errors, f"{path}.path", target)
    if not target.startswith("/"):
        errors.append(field.invalid(f"{path}.path", target, "must be an absolute path"))


def _iscsi(errors: Errors, source: Object, path: str) -> None:
    required_text(errors, f"{path}.targetPortal", source.get("targetPortal"))
    iqn = source.get("iqn", "")
    if not iqn:
        errors.append(field.required(f"{path}.iqn"))
    elif not iqn.startswith(("iqn", "eui", "naa")):
        errors.append(field.invalid(f"{path}.iqn", iqn, "must be valid format starting with iqn, eui, or naa"))
    elif not any(form.fullmatch(iqn) for form in (_IQN, _EUI, _NAA)):
        errors.append(field.invalid(f"{path}.iqn", iqn, "must be valid format"))
    lun = source.get("lun", 0)
    if not 0 <= lun <= 255:
        errors.append(field.invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
    chap = source.get("chapAuthDiscovery") or source.get("chapAuthSession")
    if chap and source.get("secretRef") is None:
        errors.append(field.required(f"{path}.secretRef"))
    name = source.get("initiatorName")
    if name is not None and not any(form.fullmatch(name) for form in (_IQN, _EUI, _NAA)):
        errors.append(field.invalid(f"{path}.initiatorname", name, "must be valid format"))


def _flocker(errors: Errors, source: Object, path: str) -> None:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        errors.append(field.required(path, "one of datasetName and datasetUUID is required"))
    elif name and uuid:
        wrong = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(field.invalid(path, "resource", wrong))
    if "/" in name:
        errors.append(field.invalid(f"{path}.datasetName", name, "must not contain '/'"))


def _rbd(errors: Errors, source: Object, path: str) -> None:
    required_text(errors, f"{path}.monitors", source.get("monitors"))
    required_text(errors, f"{path}.image", source.get("image"))


def _cinder(errors: Errors, source: Object, path: str) -> None:
    required_text(errors, f"{path}.volumeID", source.get("volumeID"))
    ref = source.get("secretRef")
    if ref is not None and not ref.get("name"):
        errors.append(field.required(f"{path}.secretRef.name"))


def _quobyte(errors: Errors, source: Object, path: str) -> None:
    registry = source.get("registry", "")
    wrong = "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        errors.append(field.required(f"{path}.registry", wrong))
    elif len(registry) >= 65:
        errors.append(field.too_long(f"{path}.registry", 64))
    elif not all(pair.count(":") == 1 and all(pair.split(":")) for pair in registry.split(",")):
        errors.append(field.invalid(f"{path}.registry", registry, wrong))
    if len(source.get("tenant", "")) >= 65:
        errors.append(field.required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    required_text(errors, f"{path}.volume", source.get("volume"))


def _fc(errors: Errors, source: Object, path: str) -> None:
    targets, wwids = source.get("targetWWNs"), source.get("wwids")
    if bool(targets) == bool(wwids):
        if targets:
            wrong = "targetWWNs and wwids can not be specified simultaneously"
            errors.append(field.invalid(f"{path}.targetWWNs", targets, wrong))
        else:
            wrong = "must specify either targetWWNs or wwids, but not both"
            errors.append(field.required(f"{path}.targetWWNs", wrong))
    if not targets:
        return
    lun = source.get("lun")
    if lun is None:
        errors.append(field.required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    elif not 0 <= lun <= 255:
        errors.append(field.invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))


def _flex(errors: Errors, source: Object, path: str) -> None:
    required_text(errors, f"{path}.driver", source.get("driver"))
    for key in source.get("options") or {}:
        namespace = key.partition("/")[0]
        if f".{namespace}".endswith((".kubernetes.io", ".k8s.io")):
            wrong = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(field.invalid(f"{path}.options[{key}]", key, wrong))


def _azure_disk(errors: Errors, source: Object, path: str) -> None:
    uri, kind = source.get("diskURI", ""), source.get("kind")
    required_text(errors, f"{path}.diskName", source.get("diskName"))
    required_text(errors, f"{path}.diskURI", uri)
    if "cachingMode" in source:
        one_of(errors, f"{path}.cachingMode", source["cachingMode"], ("None", "ReadOnly", "ReadWrite"))
    if kind is not None:
        one_of(errors, f"{path}.kind", kind, ("Dedicated", "Managed", "Shared"))
    if kind == "Managed" and not uri.startswith("/subscriptions"):
        errors.append(field.not_supported(f"{path}.diskURI", uri, _AZURE_MANAGED))
    if kind is not None and kind != "Managed" and not uri.startswith("https"):
        errors.append(field.not_supported(f"{path}.diskURI", uri, _AZURE_BLOB))


def _storage_os(errors: Errors, source: Object, path: str) -> None:
    required_name = source.get("volumeName", "")
    if not required_name:
        errors.append(field.required(f"{path}.volumeName"))
    else:
        for text in names.dns_label(required_name):
            errors.append(field.invalid(f"{path}.volumeName", required_name, text))
    namespace = source.get("volumeNamespace", "")
    if namespace:
        for text in names.dns_label(namespace):
            errors.append(field.invalid(f"{path}.volumeNamespace", namespace, text))
    ref = source.get("secretRef")
    if ref is not None and not ref.get("name"):
        errors.append(field.required(f"{path}.secretRef.name"))


def _glusterfs(errors: Errors, source: Object, path: str) -> None:
    for name in ("endpoints", "path"):
        required_text(errors, f"{path}.{name}", source.get(name))


SOURCES: dict[str, Callable[[Errors, Object, str], None]] = {
    "gcePersistentDisk": _gce,
    "awsElasticBlockStore": _aws,
    "nfs": _nfs,
    "iscsi": _iscsi,
    "glusterfs": _glusterfs,
    "flocker": _flocker,
    "rbd": _rbd,
    "cinder": _cinder,
    "cephfs": _requiring("monitors"),
    "quobyte": _quobyte,
    "fc": _fc,
    "flexVolume": _flex,
    "azureFile": _requiring("secretName", "shareName"),
    "vsphereVolume": _requiring("volumePath"),
    "photonPersistentDisk": _requiring("pdID"),
    "portworxVolume": _requiring("volumeID"),
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "scaleIO": _requiring("gateway", "system", "volumeName"),
}
