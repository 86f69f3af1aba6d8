"""StorageClasses, CSI objects, VolumeAttachments and VolumeAttributesClasses."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import names, quantities
from knarr.api.validation.checks import Errors, immutable, items, one_of, texts
from knarr.api.validation.go_values import internal
from knarr.api.validation.kind import META_AS_CREATED, META_BOTH, META_NOT_AGAIN, Kind
from knarr.api.validation.persistent_volume import check_source_spec
from knarr.api.validation.selectors import check_label_selector, check_topology_terms
from knarr.api.validation.volume_sources import check_csi_driver
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_MODES = ("Persistent", "Ephemeral")
_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_MAX_PARAMETERS, _MAX_PARAMETER_BYTES, _MAX_FAILURE = 512, 256 * 1024, 1024
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def _class(errors: Errors, obj: Object) -> None:
    _check_provisioner(errors, obj.get("provisioner", ""), "provisioner")
    _check_parameters(errors, obj.get("parameters") or {}, "parameters", empty=True)
    policy = obj.get("reclaimPolicy", "")
    if policy:
        one_of(errors, "reclaimPolicy", policy, ("Delete", "Retain"))
    mode = obj.get("volumeBindingMode")
    if mode is None:
        errors.append(field.required("volumeBindingMode"))
    else:
        one_of(errors, "volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    check_topology_terms(errors, items(obj, "allowedTopologies"), "allowedTopologies")


def _check_provisioner(errors: Errors, name: str, path: str) -> None:
    if not name:
        errors.append(field.required(path))
    else:
        texts(errors, path, name.lower(), names.qualified_name(name.lower()))


def _check_parameters(errors: Errors, parameters: Object, path: str, *, empty: bool) -> None:
    if len(parameters) > _MAX_PARAMETERS:
        errors.append(field.too_long(path, _MAX_PARAMETERS))
        return
    total = 0
    for key, value in parameters.items():
        if not key:
            errors.append(field.invalid(path, key, "field can not be empty."))
        total += len(key.encode()) + len(value.encode())
    if total > _MAX_PARAMETER_BYTES:
        errors.append(field.too_long(path, _MAX_PARAMETER_BYTES))
    if not parameters and not empty:
        errors.append(field.required(path, "must contain at least one key/value pair"))


def _update_class(errors: Errors, obj: Object, old: Object) -> None:
    _class(errors, obj)
    for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        immutable(errors, name, obj.get(name), old.get(name))


def _driver(errors: Errors, obj: Object) -> None:
    _check_driver(errors, obj.get("spec") or {})


def _check_driver(errors: Errors, spec: Object) -> None:
    for name in ("attachRequired", "podInfoOnMount", "storageCapacity"):
        if spec.get(name) is None:
            shown = "attachedRequired" if name == "attachRequired" else name
            errors.append(field.required(f"spec.{shown}"))
    policy = spec.get("fsGroupPolicy")
    if policy is None:
        errors.append(field.required("spec.fsGroupPolicy"))
    else:
        one_of(errors, "spec.fsGroupPolicy", policy, _POLICIES)
    _check_token_requests(errors, items(spec, "tokenRequests"))
    for mode in items(spec, "volumeLifecycleModes"):
        one_of(errors, "spec.volumeLifecycleModes", mode, _MODES)
    if spec.get("seLinuxMount") is None:
        errors.append(field.required("spec.seLinuxMount"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < 10:
        wrong = "must be greater than or equal to 10 seconds"
        errors.append(field.invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, wrong))


def _check_token_requests(errors: Errors, requests: Sequence[Object]) -> None:
    seen: set[str] = set()
    for at, request in enumerate(requests):
        path, audience = f"spec.tokenRequests[{at}]", request.get("audience", "")
        if audience in seen:
            errors.append(field.duplicate(f"{path}.audience", audience))
            continue
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is None:
            continue
        if seconds < 600:
            wrong = "may not specify a duration less than 10 minutes"
            errors.append(field.invalid(f"{path}.expirationSeconds", seconds, wrong))
        if seconds > 1 << 32:
            wrong = "may not specify a duration larger than 2^32 seconds"
            errors.append(field.invalid(f"{path}.expirationSeconds", seconds, wrong))


def _update_driver(errors: Errors, obj: Object, old: Object) -> None:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    _check_driver(errors, spec)
    immutable(errors, "spec.attachedRequired", spec.get("attachRequired"), before.get("attachRequired"))
    name = "volumeLifecycleModes"
    immutable(errors, f"spec.{name}", spec.get(name), before.get(name))


def _warn_driver(obj: Object, old: Object | None) -> list[str]:
    spec = obj.get("spec") or {}
    changed = old is None or items(spec, "tokenRequests") != items(old.get("spec") or {}, "tokenRequests")
    if changed and items(spec, "tokenRequests") and spec.get("serviceAccountTokenInSecrets") is None:
        return [
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent"
            " possible logging of tokens in volume attributes"
        ]
    return []


def _node(errors: Errors, obj: Object) -> None:
    _check_drivers(errors, items(obj.get("spec") or {}, "drivers"))


def _check_drivers(errors: Errors, drivers: Sequence[Object]) -> None:
    seen: set[str] = set()
    for at, driver in enumerate(drivers):
        path, name, node = f"spec.drivers[{at}]", driver.get("name", ""), driver.get("nodeID", "")
        check_csi_driver(errors, name, f"{path}.name")
        if not node:
            errors.append(field.required(f"{path}.nodeID"))
        if len(node.encode()) > 256:
            wrong = "must be 256 characters or less"
            errors.append(field.invalid(f"{path}.nodeID", node, wrong))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            wrong = "must be greater than or equal to 0"
            errors.append(field.invalid(f"{path}.allocatable.count", count, wrong))
        if name in seen:
            errors.append(field.duplicate(f"{path}.name", name))
        seen.add(name)
        _check_topology_keys(errors, items(driver, "topologyKeys"), path)


def _check_topology_keys(errors: Errors, keys: Sequence[str], path: str) -> None:
    seen: set[str] = set()
    for key in keys:
        if not key:
            errors.append(field.required(path))
        if key in seen:
            errors.append(field.duplicate(path, key))
        seen.add(key)
        texts(errors, path, key, names.qualified_name(key))


def _update_node(errors: Errors, obj: Object, old: Object) -> None:
    now, before = (items(o.get("spec") or {}, "drivers") for o in (obj, old))
    for driver in before:
        for other in now:
            if other.get("name") != driver.get("name"):
                continue
            # What a node can hold may change; the rest of a driver may not.
            pair = [{k: v for k, v in item.items() if k != "allocatable"} for item in (driver, other)]
            if pair[0] != pair[1]:
                shown = internal("storage.v1.CSINodeDriver", pair[1])
                errors.append(field.invalid("spec.drivers", shown, "field is immutable"))
    _check_drivers(errors, now)


def _capacity(errors: Errors, obj: Object) -> None:
    check_label_selector(errors, obj.get("nodeTopology"), "nodeTopology")
    name = obj.get("storageClassName", "")
    texts(errors, "storageClassName", name, names.dns_subdomain(name))
    for key in ("capacity", "maximumVolumeSize"):
        if obj.get(key) is not None:
            quantities.not_negative(errors, key, quantities.parse(obj[key]))


def _update_capacity(errors: Errors, obj: Object, old: Object) -> None:
    _capacity(errors, obj)
    for name in ("nodeTopology", "storageClassName"):
        immutable(errors, name, obj.get(name), old.get(name))


def _attachment(errors: Errors, obj: Object) -> None:
    spec = obj.get("spec") or {}
    check_csi_driver(errors, spec.get("attacher", ""), "spec.attacher")
    _check_source(errors, spec.get("source") or {}, "spec.source")
    node = spec.get("nodeName", "")
    texts(errors, "spec.nodeName", node, names.dns_subdomain(node))


def _check_source(errors: Errors, source: Object, path: str) -> None:
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and not name:
        errors.append(field.required(path, _ONE_SOURCE))
    elif inline is not None and name:
        errors.append(field.forbidden(path, _ONE_SOURCE))
    elif name:
        texts(errors, f"{path}.persistentVolumeName", name, names.dns_subdomain(name))
    elif inline is not None:
        check_source_spec(errors, inline, f"{path}.inlineVolumeSpec", name="", inline=True)


def _check_failures(errors: Errors, status: Object) -> None:
    for name in ("attachError", "detachError"):
        failure = status.get(name) or {}
        if len(failure.get("message", "").encode()) > _MAX_FAILURE:
            errors.append(field.too_long(f"status.{name}.message", _MAX_FAILURE))


def _attachment_status(errors: Errors, obj: Object, old: Object) -> None:
    _attachment(errors, obj)
    _check_failures(errors, obj.get("status") or {})
    _update_attachment(errors, obj, old)


def _update_attachment(errors: Errors, obj: Object, old: Object) -> None:
    shown = internal("storage.v1.VolumeAttachmentSpec", obj.get("spec") or {})
    immutable(errors, "spec", obj.get("spec"), old.get("spec"), shown)


def _attributes_class(errors: Errors, obj: Object) -> None:
    _check_provisioner(errors, obj.get("driverName", ""), "driverName")
    _check_parameters(errors, obj.get("parameters") or {}, "parameters", empty=False)


def _update_attributes_class(errors: Errors, obj: Object, old: Object) -> None:
    for name in ("driverName", "parameters"):
        if (obj.get(name) or None) != (old.get(name) or None):
            errors.append(field.forbidden(name, f"updates to {name} are forbidden."))


STORAGECLASSES = Kind(_class, _update_class, update_meta=META_BOTH)
CSIDRIVERS = Kind(_driver, _update_driver, warnings=_warn_driver)
CSINODES = Kind(_node, _update_node, update_meta=META_AS_CREATED)
CSISTORAGECAPACITIES = Kind(_capacity, _update_capacity, update_meta=META_NOT_AGAIN)
VOLUMEATTACHMENTS = Kind(_attachment, _update_attachment, {"status": _attachment_status}, update_meta=META_AS_CREATED)
VOLUMEATTRIBUTESCLASSES = Kind(_attributes_class, _update_attributes_class)
