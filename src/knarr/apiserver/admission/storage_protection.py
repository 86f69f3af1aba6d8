"""StorageObjectInUseProtection: volumes and claims go away only when nobody uses them any more."""

from __future__ import annotations

from knarr.apiserver.admission.plugin import Kinds, new_objects
from knarr.apiserver.attributes import Attributes

_FINALIZERS = {
    ("persistentvolumes", ""): "kubernetes.io/pv-protection",
    ("persistentvolumeclaims", ""): "kubernetes.io/pvc-protection",
    ("volumeattributesclasses", "storage.k8s.io"): "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection:
    """Adds the finalizer that the protection controllers take away."""

    name = "StorageObjectInUseProtection"
    kinds: Kinds = frozenset(_FINALIZERS)
    concerns = staticmethod(new_objects)

    def admit(self, attributes: Attributes) -> None:
        """Add the finalizer to a new object."""
        obj = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or obj is None:
            return
        finalizer = _FINALIZERS[attributes.kind_key]
        finalizers = obj["metadata"].get("finalizers") or []
        if finalizer not in finalizers:
            obj["metadata"]["finalizers"] = [*finalizers, finalizer]
