"""What a deletion answers: the object that is gone for some kinds, a `Status` for the others.

Source: k8s.io/kubernetes/pkg/registry (ReturnDeletedObject).
"""

from __future__ import annotations

from knarr.api.resources import Resource

_RETURNED_WHEN_DELETED: frozenset[tuple[str, str]] = frozenset(
    {
        *(
            (plural, "")
            for plural in (
                "persistentvolumeclaims",
                "persistentvolumes",
                "pods",
                "podtemplates",
                "resourcequotas",
                "serviceaccounts",
                "services",
            )
        ),
        *(
            (plural, "storage.k8s.io")
            for plural in ("csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses")
        ),
        *(
            (plural, "resource.k8s.io")
            for plural in ("deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices")
        ),
    }
)


def returns_deleted(resource: Resource) -> bool:
    """Whether DELETE answers with the object."""
    return (resource.plural, resource.group) in _RETURNED_WHEN_DELETED
