"""Object metadata: what every kind's `metadata` must be, on creation and on change.

Source of the rules: k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.validation import names
from knarr.api.validation.checks import Errors, immutable, items, label_key, labels, not_negative, texts
from knarr.api.validation.names import NameCheck
from knarr.apimachinery import field
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object

_ANNOTATIONS_LIMIT = 256 * 1024
_MANAGER_LIMIT = 128
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_OPERATIONS = frozenset({"Apply", "Update"})
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_OPERATION_WRONG = "must be `Apply` or `Update`"


def check_create(
    errors: Errors,
    meta: Object,
    *,
    namespaced: bool,
    name: NameCheck,
    path: str = "metadata",
    standard_finalizers: bool = True,
) -> None:
    """The metadata of a new object; `name` says which names are good for the kind.

    `standard_finalizers`: finalizers without a domain are of those that Kubernetes knows.
    """
    base = meta.get("generateName")
    if base:
        texts(errors, f"{path}.generateName", base, names.generated_base(base, name))
    given = meta.get("name", "")
    if not given:
        errors.append(field.required(f"{path}.name", "name or generateName is required"))
    else:
        wrong = name(given)
        if wrong:
            texts(errors, f"{path}.name", given, wrong)
    _check_namespace(errors, meta.get("namespace", ""), f"{path}.namespace", namespaced=namespaced)
    _check_common(errors, meta, path)
    if standard_finalizers:
        _check_standard_finalizers(errors, items(meta, "finalizers"), f"{path}.finalizers")


def _check_namespace(errors: Errors, namespace: str, path: str, *, namespaced: bool) -> None:
    if not namespaced:
        if namespace:
            errors.append(field.forbidden(path, "not allowed on this type"))
    elif not namespace:
        errors.append(field.required(path))
    else:
        wrong = names.dns_label(namespace)
        if wrong:
            texts(errors, path, namespace, wrong)


def _check_common(errors: Errors, meta: Object, path: str) -> None:
    if "generation" in meta:
        not_negative(errors, f"{path}.generation", meta["generation"])
    _check_open(errors, meta, path, finalizers=True)


def _check_open(errors: Errors, meta: Object, path: str, *, finalizers: bool = False) -> None:
    """What clients write into metadata; an update leaves the finalizers to others."""
    if "labels" in meta:
        labels(errors, f"{path}.labels", meta["labels"])
    if "annotations" in meta:
        check_annotations(errors, meta["annotations"], f"{path}.annotations")
    if "ownerReferences" in meta:
        check_owners(errors, items(meta, "ownerReferences"), f"{path}.ownerReferences")
    if finalizers and "finalizers" in meta:
        check_finalizers(errors, items(meta, "finalizers"), f"{path}.finalizers")
    if "managedFields" in meta:
        _check_managed_fields(errors, items(meta, "managedFields"), f"{path}.managedFields")


def check_annotations(errors: Errors, annotations: Object | None, path: str) -> None:
    """Annotations: keys are qualified names (whatever their case), 256 KiB at most together."""
    if not annotations:
        return
    size = 0
    for key, value in annotations.items():
        wrong = names.qualified_name(key.lower())
        if wrong:
            texts(errors, path, key, wrong)
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS_LIMIT:
        errors.append(field.too_long(path, _ANNOTATIONS_LIMIT))


def check_owners(errors: Errors, owners: Sequence[Object], path: str) -> None:
    """Owner references: complete, no Event, one controller."""
    controller = ""
    for owner in owners:
        _check_owner(errors, owner, path)
        if not owner.get("controller"):
            continue
        this = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if controller:
            shown = [_owner_shown(other) for other in owners]
            errors.append(field.invalid(path, shown, _two_controllers(controller, this)))
        controller = controller or this


def _two_controllers(first: str, second: str) -> str:
    return f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}'


def _owner_shown(owner: Object) -> Object:
    order = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return {key: owner[key] for key in order if key in owner}


def _check_owner(errors: Errors, owner: Object, path: str) -> None:
    group, version = parse_api_version(owner.get("apiVersion", ""))
    kind = owner.get("kind", "")
    if not version:
        errors.append(field.invalid(f"{path}.apiVersion", owner.get("apiVersion", ""), "version must not be empty"))
    for name in ("kind", "name", "uid"):
        if not owner.get(name):
            errors.append(field.invalid(f"{path}.{name}", owner.get(name, ""), "must not be empty"))
    if (group, version, kind) == ("", "v1", "Event"):
        errors.append(field.invalid(path, _owner_shown(owner), "/v1, Kind=Event is disallowed from being an owner"))


def check_finalizers(errors: Errors, finalizers: Sequence[str], path: str) -> None:
    """Finalizers: qualified names, never both kinds of propagation."""
    for name in finalizers:
        check_finalizer(errors, name, path)
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        wrong = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(field.invalid(path, list(finalizers), wrong))


def _check_standard_finalizers(errors: Errors, finalizers: Sequence[str], path: str) -> None:
    for at, name in enumerate(finalizers):
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            wrong = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(field.invalid(f"{path}[{at}]", name, wrong))


def check_finalizer(errors: Errors, name: str, path: str) -> None:
    """One finalizer's syntax."""
    label_key(errors, path, name)


def _check_managed_fields(errors: Errors, managed: Sequence[Object], path: str) -> None:
    for at, entry in enumerate(managed):
        if entry.get("fieldsType") == "FieldsV1" and _is_usual(entry):
            continue
        here = f"{path}[{at}]"
        if entry.get("operation", "") not in _OPERATIONS:
            errors.append(field.invalid(f"{here}.operation", entry.get("operation", ""), _OPERATION_WRONG))
        kind = entry.get("fieldsType", "")
        if kind and kind != "FieldsV1":
            errors.append(field.invalid(f"{here}.fieldsType", kind, "must be `FieldsV1`"))
        manager = entry.get("manager", "")
        if len(manager.encode()) > _MANAGER_LIMIT:
            errors.append(field.too_long(f"{here}.manager", _MANAGER_LIMIT))
        if not manager.isprintable():
            _check_manager(errors, manager, f"{here}.manager")
        if len(entry.get("subresource", "").encode()) > _MANAGER_LIMIT * 2:
            errors.append(field.too_long(f"{here}.subresource", _MANAGER_LIMIT * 2))


def _is_usual(entry: Object) -> bool:
    """Whether an entry has nothing that one needs to look at twice."""
    manager, subresource = entry.get("manager", ""), entry.get("subresource", "")
    short = len(manager) <= _MANAGER_LIMIT and len(subresource) <= _MANAGER_LIMIT
    return (
        short
        and manager.isascii()
        and manager.isprintable()
        and subresource.isascii()
        and (entry.get("operation") in _OPERATIONS)
    )


def _check_manager(errors: Errors, manager: str, path: str) -> None:
    for at, char in enumerate(manager):
        if not char.isprintable():
            wrong = f"invalid character U+{ord(char):04X} (at position {at})"
            errors.append(field.invalid(path, manager, wrong))


def check_change(errors: Errors, new: Object, old: Object, path: str = "metadata") -> None:
    """What every update checks of the metadata: as of a new object, and what may not change."""
    found: list[field.FieldError] = []
    _check_common(found, new, path)
    errors += found
    _check_kept(errors, new, old, path)
    if found:
        _check_open(errors, new, path)


def check_update(
    errors: Errors, new: Object, old: Object, path: str = "metadata", *, standard_finalizers: bool = True
) -> None:
    """What may not change, and what changed metadata must be."""
    _check_kept(errors, new, old, path)
    _check_open(errors, new, path)
    if standard_finalizers:
        _check_standard_finalizers(errors, items(new, "finalizers"), f"{path}.finalizers")


def _check_kept(errors: Errors, new: Object, old: Object, path: str) -> None:
    _check_deleting_finalizers(errors, new, old, path)
    if not new.get("resourceVersion"):
        errors.append(field.invalid(f"{path}.resourceVersion", "", "must be specified for an update"))
    if new.get("generation", 0) < old.get("generation", 0):
        errors.append(field.invalid(f"{path}.generation", new.get("generation", 0), "must not be decremented"))
    # Both as lists: nearly always they are alike, and no loop is needed.
    given, kept = list(map(new.get, _IMMUTABLE)), list(map(old.get, _IMMUTABLE))
    if given == kept:
        return
    for name in _IMMUTABLE:
        if new.get(name) != old.get(name):
            immutable(errors, f"{path}.{name}", new.get(name), old.get(name))


def _check_deleting_finalizers(errors: Errors, new: Object, old: Object, path: str) -> None:
    if not old.get("deletionTimestamp"):
        return
    had = set(items(old, "finalizers"))
    extra = sorted({name for name in items(new, "finalizers") if name not in had})
    if extra:
        listed = ", ".join(field.quote(name) for name in extra)
        wrong = "no new finalizers can be added if the object is being deleted, found new finalizers"
        errors.append(field.forbidden(f"{path}.finalizers", f"{wrong} []string{{{listed}}}"))
