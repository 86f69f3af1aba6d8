"""PersistentVolumeClaims, and the claims that templates hold."""

from __future__ import annotations

from knarr.api.validation import meta, names, quantities
from knarr.api.validation.checks import Errors, immutable, items, labels, one_of, texts
from knarr.api.validation.kind import Kind
from knarr.api.validation.selectors import check_label_selector
from knarr.api.validation.struct_diff import struct_diff
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_ONCE_ALONE = "may not use ReadWriteOncePod with other access modes"
_IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def check_claim_template(errors: Errors, template: Object, path: str, *, labelled: bool = True) -> None:
    """The claim of an ephemeral volume or of a StatefulSet's `volumeClaimTemplates`."""
    own = template.get("metadata") or {}
    if labelled:
        labels(errors, f"{path}.metadata.labels", own.get("labels"))
        meta.check_annotations(errors, own.get("annotations"), f"{path}.metadata.annotations")
        for name in ("name", "generateName", "namespace"):
            if own.get(name):
                errors.append(field.forbidden(f"{path}.metadata.{name}", "field not allowed"))
    check_spec(errors, template.get("spec") or {}, f"{path}.spec")


def check_spec(errors: Errors, spec: Object, path: str) -> None:
    """A claim's spec."""
    modes = items(spec, "accessModes")
    if not modes:
        errors.append(field.required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.get("selector") is not None:
        check_label_selector(errors, spec["selector"], f"{path}.selector")
    check_access_modes(errors, modes, f"{path}.accessModes")
    _check_storage(errors, spec, path)
    for name in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(name):
            texts(errors, f"{path}.{name}", spec[name], names.dns_subdomain(spec[name]))
    if spec.get("volumeMode") is not None:
        one_of(errors, f"{path}.volumeMode", spec["volumeMode"], VOLUME_MODES)
    _check_sources(errors, spec, path)


def _check_storage(errors: Errors, spec: Object, path: str) -> None:
    requests = (spec.get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        errors.append(field.required(f"{path}.resources[storage]"))
    else:
        value = quantities.parse(requests["storage"])
        if value.sign <= 0:
            errors.append(field.invalid(f"{path}.resources[storage]", str(value), "must be greater than zero"))


def check_access_modes(errors: Errors, modes: object, path: str) -> None:
    """Known access modes; `ReadWriteOncePod` alone."""
    listed = [str(mode) for mode in modes] if isinstance(modes, list | tuple) else []
    for mode in listed:
        if mode not in ACCESS_MODES:
            errors.append(field.not_supported(path, mode, ACCESS_MODES))
    if "ReadWriteOncePod" in listed and len(set(listed)) > 1:
        errors.append(field.forbidden(path, _ONCE_ALONE))


def _check_sources(errors: Errors, spec: Object, path: str) -> None:
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None:
        _check_source(errors, source, f"{path}.dataSource")
    if ref is not None:
        _check_source(errors, ref, f"{path}.dataSourceRef")
    if source is None or ref is None or ref.get("namespace"):
        return
    same = all((source.get(name) or "") == (ref.get(name) or "") for name in ("apiGroup", "kind", "name"))
    if not same:
        # Kubernetes shows the path where the value should be: a struct without public fields.
        errors.append(field.invalid(path, {}, "must match dataSourceRef"))


def _check_source(errors: Errors, source: Object, path: str) -> None:
    for name in ("name", "kind"):
        if not source.get(name):
            errors.append(field.required(f"{path}.{name}"))
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        errors.append(
            field.invalid(
                path, source.get("kind", ""), "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            )
        )
    if group:
        texts(errors, f"{path}.apiGroup", group, names.dns_subdomain(group))


def _create(errors: Errors, obj: Object) -> None:
    check_spec(errors, obj.get("spec") or {}, "spec")


def _update(errors: Errors, obj: Object, old: Object) -> None:
    _create(errors, obj)
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    bound = (old.get("status") or {}).get("phase") == "Bound"
    new_part, old_part = dict(spec), dict(before)
    if not old_part.get("volumeName"):
        # The binder sets it once.
        new_part.pop("volumeName", None)
        old_part.pop("volumeName", None)
    if bound:
        new_part = _with_requests(new_part, old_part)
        if "volumeAttributesClassName" in new_part or "volumeAttributesClassName" in old_part:
            new_part.pop("volumeAttributesClassName", None)
            old_part.pop("volumeAttributesClassName", None)
    _fill_class(new_part, old_part, obj, old)
    if new_part != old_part:
        diff = struct_diff("core.v1.PersistentVolumeClaimSpec", before, {**before, **new_part})
        errors.append(field.forbidden("spec", f"{_IMMUTABLE}\n{diff}"))
    _check_shrink(errors, obj, old)
    immutable(errors, "volumeMode", spec.get("volumeMode"), before.get("volumeMode"))
    _check_attributes_class(errors, spec, before)


def _with_requests(new: Object, old: Object) -> Object:
    old_requests = (old.get("resources") or {}).get("requests") or {}
    resources = {**(new.get("resources") or {})}
    requests = {**(resources.get("requests") or {})}
    if "storage" in requests and "storage" in old_requests:
        requests["storage"] = old_requests["storage"]
        resources["requests"] = requests
    return {**new, "resources": resources}


def _fill_class(new: Object, old: Object, obj: Object, stored: Object) -> None:
    """A claim of no class may get one; a beta annotation may become the field."""
    if old.get("storageClassName") is None and new.get("storageClassName") is not None:
        beta = ((stored.get("metadata") or {}).get("annotations") or {}).get(_BETA_CLASS)
        unbound = (stored.get("status") or {}).get("phase", "Pending") != "Bound"
        if beta == new["storageClassName"] or (beta is None and unbound):
            del new["storageClassName"]
    del obj


def _check_shrink(errors: Errors, obj: Object, old: Object) -> None:
    new_size, old_size = _size(obj.get("spec")), _size(old.get("spec"))
    status_size = ((old.get("status") or {}).get("capacity") or {}).get("storage")
    if new_size is None or old_size is None:
        return
    path = "spec.resources.requests.storage"
    shrinks = quantities.parse(new_size) < quantities.parse(old_size)
    below = status_size is None or quantities.parse(new_size) <= quantities.parse(status_size)
    if shrinks and below and (old.get("status") or {}).get("phase") == "Bound":
        errors.append(field.forbidden(path, "field can not be less than status.capacity"))


def _size(spec: Object | None) -> str | None:
    found: str | None = (((spec or {}).get("resources") or {}).get("requests") or {}).get("storage")
    return found


def _check_attributes_class(errors: Errors, spec: Object, before: Object) -> None:
    new, old = spec.get("volumeAttributesClassName"), before.get("volumeAttributesClassName")
    if old and new is None:
        errors.append(
            field.forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")
        )
    elif old and new == "":
        wrong = "update from non-nil value to an empty string is forbidden"
        errors.append(field.forbidden("spec.volumeAttributesClassName", wrong))


def _status(errors: Errors, obj: Object, old: Object) -> None:
    if not obj.get("metadata", {}).get("resourceVersion"):
        errors.append(field.required("metadata.resourceVersion"))
    if not (obj.get("spec") or {}).get("accessModes"):
        errors.append(field.required("Spec.accessModes"))
    for name in ("capacity", "allocatedResources"):
        for key, text in ((obj.get("status") or {}).get(name) or {}).items():
            quantities.check_value(errors, f"status.{name}[{key}]", key, quantities.parse(text))


def _warn(obj: Object, old: Object | None) -> list[str]:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    out: list[str] = []
    if _BETA_CLASS in annotations:
        out.append(
            f'metadata.annotations[{_BETA_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
        )
    requests = ((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}
    size = requests.get("storage")
    if size is not None and quantities.parse(size).milli() % 1000:
        text = f"fractional byte value {field.quote(size)} is invalid, must be an integer"
        out.append(f"spec.resources.requests[storage]: {text}")
    return out


PERSISTENTVOLUMECLAIMS = Kind(_create, _update, {"status": _status}, warnings=_warn)
