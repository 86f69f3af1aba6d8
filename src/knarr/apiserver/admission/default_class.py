"""DefaultStorageClass and DefaultIngressClass: who names no class gets the default one.

Several may be marked as default while an administrator changes it: the newest counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.apimachinery.types import Object
from knarr.apiserver.admission.plugin import Kinds, new_objects
from knarr.apiserver.attributes import Attributes

_STORAGE_DEFAULTS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_INGRESS_DEFAULTS = ("ingressclass.kubernetes.io/is-default-class",)
_STORAGE_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_INGRESS_ANNOTATION = "kubernetes.io/ingress.class"


class DefaultStorageClass:
    """Completes new claims."""

    name = "DefaultStorageClass"
    kinds: Kinds = frozenset({("persistentvolumeclaims", "")})
    concerns = staticmethod(new_objects)

    def admit(self, attributes: Attributes) -> None:
        """Set the class of a new claim that names none."""
        claim = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or claim is None:
            return
        spec = claim["spec"]
        if spec.get("storageClassName") is not None or _annotated(claim, _STORAGE_ANNOTATION):
            return
        default = _default(attributes.reader.list("storageclasses", "storage.k8s.io"), _STORAGE_DEFAULTS)
        if default:
            spec["storageClassName"] = default


class DefaultIngressClass:
    """Completes new ingresses."""

    name = "DefaultIngressClass"
    kinds: Kinds = frozenset({("ingresses", "networking.k8s.io")})
    concerns = staticmethod(new_objects)

    def admit(self, attributes: Attributes) -> None:
        """Set the class of a new ingress that names none."""
        ingress = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or ingress is None:
            return
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or _annotated(ingress, _INGRESS_ANNOTATION):
            return
        default = _default(attributes.reader.list("ingressclasses", "networking.k8s.io"), _INGRESS_DEFAULTS)
        if default:
            spec["ingressClassName"] = default


def _annotated(obj: Object, annotation: str) -> bool:
    return annotation in (obj["metadata"].get("annotations") or {})


def _default(classes: Iterable[Object], marks: tuple[str, ...]) -> str:
    """The name of the default class; empty for none."""
    found = []
    for item in classes:
        meta = item["metadata"]
        annotations = meta.get("annotations") or {}
        if any(annotations.get(mark) == "true" for mark in marks):
            found.append((meta.get("creationTimestamp") or "", meta["name"]))
    newest = max((created for created, _ in found), default="")
    return min((name for created, name in found if created == newest), default="")
