"""Who may ask for devices that others use: claims in namespaces with a label for it.

Source of the rules: pkg/registry/resource/resourceutils.go. https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#admin-access
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.api.resources import Resource
from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader

_LABEL = "resource.kubernetes.io/admin-access"
_WRONG = f"admin access to devices requires the `{_LABEL}: true` label on the containing namespace"
_RESULTS = "status.allocation.devices.results"


def check(resource: Resource, obj: Object, old: Object | None, subresource: str, reader: Reader) -> list[FieldError]:
    """What is wrong with a claim's or template's wish for admin access: nothing for other kinds."""
    if resource.group != "resource.k8s.io" or resource.plural not in ("resourceclaims", "resourceclaimtemplates"):
        return []
    path = _status_path(obj, old) if subresource == "status" else _spec_path(obj) if old is None else ""
    if not path:
        return []
    namespace = reader.get("namespaces", "", "", obj["metadata"].get("namespace", "")) or {"metadata": {}}
    if (namespace["metadata"].get("labels") or {}).get(_LABEL) == "true":
        return []
    return [field.forbidden(path, _WRONG)]


def _spec_path(obj: Object) -> str:
    spec = obj.get("spec") or {}
    requests = ((spec.get("spec") or spec).get("devices") or {}).get("requests") or ()
    at = _first((request.get("exactly") or {}) for request in requests)
    return "" if at is None else f"spec.devices.requests[{at}].adminAccess"


def _status_path(obj: Object, old: Object | None) -> str:
    if _first(_results(old or {})) is not None:
        # What was granted stays.
        return ""
    at = _first(_results(obj))
    return "" if at is None else f"{_RESULTS}[{at}].adminAccess"


def _results(obj: Object) -> Iterable[Object]:
    allocation = (obj.get("status") or {}).get("allocation") or {}
    return (allocation.get("devices") or {}).get("results") or ()


def _first(holders: Iterable[Object]) -> int | None:
    return next((at for at, holder in enumerate(holders) if holder.get("adminAccess")), None)
