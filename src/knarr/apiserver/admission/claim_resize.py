"""PersistentVolumeClaimResize: claims grow where their class allows it."""

from __future__ import annotations

from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, refuse, written_objects
from knarr.apiserver.attributes import Attributes

_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


class PersistentVolumeClaimResize:
    """Checks the growth of claims."""

    name = "PersistentVolumeClaimResize"
    kinds: Kinds = frozenset({("persistentvolumeclaims", "")})
    concerns = staticmethod(written_objects)

    def validate(self, attributes: Attributes) -> None:
        """Refuse to grow a claim that cannot grow. Raises `StatusError`."""
        new, old = attributes.object, attributes.old_object
        if attributes.operation != "UPDATE" or attributes.subresource or new is None or old is None:
            return
        if not _size(old) < _size(new):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise refuse(attributes, "Only bound persistent volume claims can be expanded")
        name = _class_name(new)
        found = attributes.reader.get("storageclasses", "storage.k8s.io", "", name) if name else None
        if name != _class_name(old) or not (found or {}).get("allowVolumeExpansion"):
            why = "only dynamically provisioned pvc can be resized and "
            raise refuse(attributes, f"{why}the storageclass that provisions the pvc must support resize")


def _size(claim: Object) -> quantity.Quantity:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return quantity.from_json(requests.get("storage"))


def _class_name(claim: Object) -> str:
    annotated = (claim["metadata"].get("annotations") or {}).get(_ANNOTATION)
    return str(annotated or (claim.get("spec") or {}).get("storageClassName") or "")
