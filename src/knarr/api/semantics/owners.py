"""Owner references: who controls an object, and how an object is given an owner.

https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object


def references(obj: Object) -> Sequence[Object]:
    """The owner references of an object."""
    return obj["metadata"].get("ownerReferences") or ()


def controller_of(obj: Object) -> Object | None:
    """The reference to the controller, or None for an object that has none."""
    return next((owner for owner in references(obj) if owner.get("controller")), None)


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Whether `owner` is the controller of the object."""
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == owner["metadata"].get("uid")


def controller_reference(owner: Object, resource: Resource) -> Object:
    """The reference that makes `owner` the controller of an object."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
