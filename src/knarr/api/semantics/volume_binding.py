"""Which volume suits a claim, as the volume binder and the scheduler both see it.

Input: claims, volumes and storage classes as plain objects. Output: texts, truth values, the volume that suits best.
Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from knarr.apimachinery import labels, quantity
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
#: The provisioner of storage classes whose volumes are made by hand.
NO_PROVISIONER = "kubernetes.io/no-provisioner"
_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULTS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


def annotations_of(obj: Object) -> Object:
    """The annotations of an object."""
    return obj["metadata"].get("annotations") or {}


def class_name(obj: Object) -> str:
    """The storage class of a claim or a volume; empty for none."""
    given = annotations_of(obj).get(_CLASS)
    return str((obj.get("spec") or {}).get("storageClassName") or "" if given is None else given)


def has_class(claim: Object) -> bool:
    """Whether a claim says which class it wants, be it none."""
    return _CLASS in annotations_of(claim) or (claim.get("spec") or {}).get("storageClassName") is not None


def waits_for_consumer(storage_class: Object | None) -> bool:
    """Whether claims of a class are bound only when a pod that uses them is placed."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def default_class(classes: Iterable[Object]) -> Object | None:
    """The class of claims that name none: of those marked as default the newest, then the first by name."""
    marked = [each for each in classes if any(annotations_of(each).get(name) == "true" for name in _DEFAULTS)]
    by_name = sorted(marked, key=lambda each: str(each["metadata"]["name"]))
    return max(by_name, key=lambda each: str(each["metadata"].get("creationTimestamp", "")), default=None)


def is_bound_to(volume: Object, claim: Object) -> bool:
    """Whether a volume is reserved for a claim, by name or also by uid."""
    ref, meta = volume["spec"].get("claimRef"), claim["metadata"]
    if not ref or ref.get("name") != meta["name"] or ref.get("namespace", "") != meta.get("namespace", ""):
        return False
    return not ref.get("uid") or ref["uid"] == meta.get("uid")


def is_fully_bound(claim: Object) -> bool:
    """Whether both halves of a claim's binding stand."""
    return bool((claim.get("spec") or {}).get("volumeName")) and BIND_COMPLETED in annotations_of(claim)


def has_same_mode(claim: Object, volume: Object) -> bool:
    """Whether both are file systems, or both block devices."""
    return _mode(claim) == _mode(volume)


def has_access_modes(claim: Object, volume: Object) -> bool:
    """Whether the volume has all access modes the claim asks for."""
    return access_modes(claim) <= access_modes(volume)


def access_modes(obj: Object) -> frozenset[str]:
    """The access modes of a claim or volume."""
    return frozenset(obj["spec"].get("accessModes") or ())


def misfit(claim: Object, volume: Object) -> str:
    """Why a volume that a claim names does not suit it; empty if it does."""
    if _capacity(volume) < _request(claim):
        return "requested PV is too small"
    if class_name(volume) != class_name(claim):
        return "storageClassName does not match"
    if _attributes(volume) != _attributes(claim):
        return "volumeAttributesClassName does not match"
    if not has_same_mode(claim, volume):
        return "incompatible volumeMode"
    return "" if has_access_modes(claim, volume) else "incompatible accessMode"


def best_volume(claim: Object, volumes: Iterable[Object], *, delayed: bool) -> Object | None:
    """What the binder gives a claim: from those with the fewest access modes the smallest, or one reserved for it.

    With `delayed` only a reserved one: the scheduler chooses among the others.
    """
    groups: dict[frozenset[str], list[Object]] = {}
    wanted = access_modes(claim)
    for volume in volumes:
        modes = access_modes(volume)
        if wanted <= modes:
            groups.setdefault(modes, []).append(volume)
    for modes in sorted(groups, key=lambda each: (len(each), sorted(each))):
        found = _smallest(claim, groups[modes], None if delayed else lambda volume: True)
        if found is not None:
            return found
    return None


def best_volume_for_node(
    claim: Object, volumes: Iterable[Object], fits: Callable[[Object], bool], taken: Collection[str]
) -> Object | None:
    """What the scheduler gives a claim: the smallest volume that `fits` the node and is not `taken` (by name)."""
    free = [volume for volume in volumes if volume["metadata"]["name"] not in taken and has_access_modes(claim, volume)]
    return _smallest(claim, free, fits)


def _smallest(claim: Object, volumes: Iterable[Object], fits: Callable[[Object], bool] | None) -> Object | None:
    """A volume reserved for the claim, else the smallest that `fits`; without `fits` none but a reserved one."""
    found: Object | None = None
    selector = labels.from_object(claim["spec"]["selector"]) if claim["spec"].get("selector") else None
    for volume in sorted(volumes, key=lambda each: str(each["metadata"]["name"])):
        if not _may_be_bound(claim, volume):
            continue
        if is_bound_to(volume, claim):
            return volume if fits is None or fits(volume) else None
        if fits is None or not _is_offered(claim, volume, selector) or not fits(volume):
            continue
        if found is None or _capacity(volume) < _capacity(found):
            found = volume
    return found


def _may_be_bound(claim: Object, volume: Object) -> bool:
    if volume["spec"].get("claimRef") and not is_bound_to(volume, claim):
        return False
    if _capacity(volume) < _request(claim) or not has_same_mode(claim, volume):
        return False
    return _attributes(volume) == _attributes(claim) and not volume["metadata"].get("deletionTimestamp")


def _is_offered(claim: Object, volume: Object, selector: labels.Selector | None) -> bool:
    if (volume.get("status") or {}).get("phase") != "Available" or class_name(volume) != class_name(claim):
        return False
    return selector is None or selector.matches(volume["metadata"].get("labels"))


def _mode(obj: Object) -> str:
    return str(obj["spec"].get("volumeMode") or "Filesystem")


def _attributes(obj: Object) -> str:
    return str(obj["spec"].get("volumeAttributesClassName") or "")


def _capacity(volume: Object) -> Quantity:
    return quantity.from_json((volume["spec"].get("capacity") or {}).get("storage", "0"))


def _request(claim: Object) -> Quantity:
    return quantity.from_json(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))
