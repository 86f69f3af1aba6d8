"""Managed fields that admission has spoilt become again what they were; the client is told.

Source: k8s.io/apiserver/pkg/endpoints/handlers/fieldmanager/admission.go.
"""

from __future__ import annotations

from knarr.apimachinery import managed_fields
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Attributes


def before(attributes: Attributes) -> list[Object] | None:
    """The managed fields of the object of a request."""
    found: list[Object] | None = ((attributes.object or {}).get("metadata") or {}).get("managedFields")
    return found


def mend(attributes: Attributes, were: list[Object] | None) -> None:
    """Put back what they were, if they make no sense any more."""
    are = before(attributes)
    if attributes.object is None or are is were or are == were:
        return
    try:
        managed_fields.decoded(are or ())
    except ValueError as error:
        attributes.object["metadata"]["managedFields"] = were
        attributes.warn(
            ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated "
            f"mutating admission controller; please fix your requests: {error}"
        )
