"""A container's volume mounts and block devices."""

from __future__ import annotations

from collections.abc import Mapping

from knarr.api.validation.checks import Errors, items
from knarr.api.validation.paths import check_descending, no_backsteps
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")
_UNIQUE = "must be unique"


def check_mounts(errors: Errors, container: Object, path: str, volumes: Mapping[str, Object]) -> None:
    """A container's `volumeMounts`."""
    devices = items(container, "volumeDevices")
    device_names = {device.get("name", "") for device in devices}
    device_paths = {device.get("devicePath", "") for device in devices}
    seen: set[str] = set()
    for at, mount in enumerate(items(container, "volumeMounts")):
        here = f"{path}[{at}]"
        name, target = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(field.required(f"{here}.name"))
        if name not in volumes:
            errors.append(field.not_found(f"{here}.name", name))
        if not target:
            errors.append(field.required(f"{here}.mountPath"))
        if target in seen:
            errors.append(field.invalid(f"{here}.mountPath", target, _UNIQUE))
        seen.add(target)
        if name in device_names:
            errors.append(field.invalid(f"{here}.name", name, "must not already exist in volumeDevices"))
        if target in device_paths:
            wrong = "must not already exist as a path in volumeDevices"
            errors.append(field.invalid(f"{here}.mountPath", target, wrong))
        _check_options(errors, mount, container, path, here)


def _check_options(errors: Errors, mount: Object, container: Object, path: str, here: str) -> None:
    sub, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
    if sub:
        check_descending(errors, sub, f"{path}.subPath")
    if expression:
        if sub:
            wrong = "subPathExpr and subPath are mutually exclusive"
            errors.append(field.invalid(f"{here}.subPathExpr", expression, wrong))
        check_descending(errors, expression, f"{path}.subPathExpr")
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        _check_propagation(errors, propagation, container, f"{path}.mountPropagation")
    recursive = mount.get("recursiveReadOnly")
    if recursive is not None:
        _check_recursive(errors, recursive, mount, f"{path}.recursiveReadOnly")


def _check_propagation(errors: Errors, value: str, container: Object, path: str) -> None:
    if value not in _PROPAGATIONS:
        errors.append(field.not_supported(path, value, _PROPAGATIONS))
    privileged = (container.get("securityContext") or {}).get("privileged")
    if value == "Bidirectional" and not privileged:
        wrong = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(field.forbidden(path, wrong))


def _check_recursive(errors: Errors, value: str, mount: Object, path: str) -> None:
    if value == "Disabled":
        return
    if value not in _RECURSIVE:
        errors.append(field.not_supported(path, value, _RECURSIVE))
        return
    if not mount.get("readOnly"):
        errors.append(field.forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation", "None") != "None":
        wrong = "may only be specified when mountPropagation is None or not specified"
        errors.append(field.forbidden(path, wrong))


def check_devices(errors: Errors, container: Object, path: str, volumes: Mapping[str, Object]) -> None:
    """A container's `volumeDevices`: block volumes of claims."""
    mounts = items(container, "volumeMounts")
    mount_names = {mount.get("name", "") for mount in mounts}
    mount_paths = {mount.get("mountPath", "") for mount in mounts}
    names: set[str] = set()
    targets: set[str] = set()
    for at, device in enumerate(items(container, "volumeDevices")):
        here = f"{path}[{at}]"
        _check_device_name(errors, device.get("name", ""), here, volumes, names)
        _check_device_path(errors, device.get("devicePath", ""), here, targets)
        if device.get("devicePath", "") in mount_paths:
            wrong = "must not already exist as a path in volumeMounts"
            errors.append(field.invalid(f"{here}.devicePath", device.get("devicePath", ""), wrong))
        if device.get("name", "") in mount_names:
            wrong = "must not already exist in volumeMounts"
            errors.append(field.invalid(f"{here}.name", device.get("name", ""), wrong))


def _check_device_name(errors: Errors, name: str, path: str, volumes: Mapping[str, Object], seen: set[str]) -> None:
    if not name:
        errors.append(field.required(f"{path}.name"))
    if name in seen:
        errors.append(field.invalid(f"{path}.name", name, _UNIQUE))
    volume = volumes.get(name)
    if volume is None:
        errors.append(field.not_found(f"{path}.name", name))
    elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
        wrong = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        errors.append(field.invalid(f"{path}.name", name, wrong))
    if name:
        seen.add(name)


def _check_device_path(errors: Errors, target: str, path: str, seen: set[str]) -> None:
    here = f"{path}.devicePath"
    if not target:
        errors.append(field.required(here))
    if target in seen:
        errors.append(field.invalid(here, target, _UNIQUE))
    found: Errors = []
    no_backsteps(found, target, here)
    if found:
        errors.append(field.invalid(here, target, "can not contain backsteps ('..')"))
    else:
        seen.add(target)
