"""How kinds differ in what the generic verbs do: tables taken from the registry strategies of kube-apiserver.

Source: k8s.io/kubernetes/pkg/registry (AllowCreateOnUpdate, AllowUnconditionalUpdate,
DefaultGarbageCollectionPolicy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from knarr.api.resources import Resource
from knarr.api.semantics import deletion

Key = tuple[str, str]
_RBAC, _ADMISSION, _STORAGE = "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "storage.k8s.io"

_CREATED_BY_UPDATE: frozenset[Key] = frozenset(
    {
        ("leases", "coordination.k8s.io"),
        ("endpoints", ""),
        ("limitranges", ""),
        ("events", ""),
        ("events", "events.k8s.io"),
        ("services", ""),
        ("runtimeclasses", "node.k8s.io"),
        *((plural, _RBAC) for plural in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")),
    }
)
_NEEDS_VERSION: frozenset[Key] = frozenset(
    {
        ("apiservices", "apiregistration.k8s.io"),
        ("customresourcedefinitions", "apiextensions.k8s.io"),
        ("leases", "coordination.k8s.io"),
        ("leasecandidates", "coordination.k8s.io"),
        ("poddisruptionbudgets", "policy"),
        ("runtimeclasses", "node.k8s.io"),
        ("clustertrustbundles", "certificates.k8s.io"),
        ("storageversionmigrations", "storagemigration.k8s.io"),
        *((plural, _STORAGE) for plural in ("csidrivers", "csinodes", "csistoragecapacities", "volumeattachments")),
        *(
            (plural, _ADMISSION)
            for plural in (
                "mutatingadmissionpolicies",
                "mutatingadmissionpolicybindings",
                "mutatingwebhookconfigurations",
                "validatingadmissionpolicies",
                "validatingadmissionpolicybindings",
                "validatingwebhookconfigurations",
            )
        ),
    }
)
_ORPHANING: frozenset[Key] = frozenset({("jobs", "batch"), ("replicationcontrollers", "")})
_WITHOUT_COLLECTION: frozenset[Key] = frozenset({("events", ""), ("events", "events.k8s.io")})


@dataclass(frozen=True, slots=True)
class Traits:
    """What the generic verbs must know of one resource."""

    #: PUT creates an object that does not exist.
    create_on_update: bool = False
    #: PUT may leave out the resourceVersion.
    unconditional_update: bool = True
    #: DELETE answers with the object that is gone, not with a Status.
    returns_deleted: bool = False
    #: What happens to dependents when the request does not say.
    garbage_collection: Literal["background", "orphan", "unsupported"] = "background"


def of(resource: Resource) -> Traits:
    """The traits of a built-in resource."""
    key = (resource.plural, resource.group)
    policy: Literal["background", "orphan", "unsupported"] = "background"
    if key in _ORPHANING:
        policy = "orphan"
    elif key in _WITHOUT_COLLECTION:
        policy = "unsupported"
    return Traits(
        create_on_update=key in _CREATED_BY_UPDATE,
        unconditional_update=key not in _NEEDS_VERSION,
        returns_deleted=deletion.returns_deleted(resource),
        garbage_collection=policy,
    )
