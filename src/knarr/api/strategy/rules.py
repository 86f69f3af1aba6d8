"""How kinds differ in what happens to their objects on creation and change, as one table.

Input: a resource. Output: its `Rules`. Source: k8s.io/kubernetes/pkg/registry, the strategies of each kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from knarr.api.resources import Resource

Path: TypeAlias = tuple[str, ...]
#: What an update of the status may change of the metadata: everything a client may, all but labels or owners, or
#: nothing but managed fields (`kept`: managers own what they tried to change all the same).
StatusMetadata: TypeAlias = Literal["open", "no-labels", "no-owners", "reset", "kept"]
GarbageCollection: TypeAlias = Literal["background", "orphan", "unsupported"]

#: The members of `metadata` that a reset takes from the old object.
RESET_METADATA = ("labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp", "selfLink")
#: The members of `metadata` that a change of the status takes from the old object.
KEPT_METADATA: Mapping[StatusMetadata, Path] = {
    "open": (),
    "no-labels": ("labels",),
    "no-owners": ("ownerReferences", "deletionTimestamp"),
    "reset": RESET_METADATA,
    "kept": RESET_METADATA,
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the strategies of one resource do.

    `generation` names the members whose change raises `metadata.generation`; `generation_from_start` that new objects
    have generation 1. `status` says that there is a status of the server's: wiped in new objects, kept when the main
    resource is changed, alone changed through the `status` subresource; `status_metadata` what else that may change.
    `reset` has the fields that a request cannot set where they are others, by subresource.
    """

    generation: Path = ()
    generation_from_start: bool = True
    status: bool = False
    status_metadata: StatusMetadata = "open"
    create_on_update: bool = False
    unconditional_update: bool = True
    garbage_collection: GarbageCollection = "background"
    graceful_deletion: bool = False
    reset: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def reset_fields(self, subresource: str = "") -> tuple[Path, ...]:
        """The fields a request cannot set, which no manager therefore owns: paths below the object."""
        if subresource in self.reset:
            return self.reset[subresource]
        if subresource == "status":
            return (("spec",), *self._reset_metadata())
        return (("status",),) if self.status else ()

    def _reset_metadata(self) -> tuple[Path, ...]:
        if self.status_metadata == "kept":
            return ()
        if self.status_metadata == "reset":
            return (("metadata",),)
        return tuple(("metadata", part) for part in KEPT_METADATA[self.status_metadata])


_SPEC = ("spec",)
_WORKLOAD = Rules(generation=_SPEC, status=True)
_STATUS_ONLY = Rules(status=True)
_VERSIONED = Rules(unconditional_update=False)
_CREATED_BY_UPDATE = Rules(create_on_update=True)
_POLICY = Rules(generation=_SPEC, unconditional_update=False)

_RULES: Mapping[tuple[str, str], Rules] = {
    ("", "endpoints"): _CREATED_BY_UPDATE,
    ("", "events"): Rules(create_on_update=True, garbage_collection="unsupported"),
    ("", "limitranges"): _CREATED_BY_UPDATE,
    ("", "namespaces"): _STATUS_ONLY,
    ("", "nodes"): _STATUS_ONLY,
    ("", "persistentvolumeclaims"): _STATUS_ONLY,
    ("", "persistentvolumes"): _STATUS_ONLY,
    ("", "pods"): Rules(generation=_SPEC, status=True, status_metadata="no-owners", graceful_deletion=True),
    ("", "podtemplates"): Rules(generation=("template",)),
    ("", "replicationcontrollers"): Rules(generation=_SPEC, status=True, garbage_collection="orphan"),
    ("", "resourcequotas"): _STATUS_ONLY,
    ("", "services"): Rules(status=True, create_on_update=True),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): _POLICY,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): _POLICY,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): Rules(
        generation=("webhooks",), unconditional_update=False
    ),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): Rules(
        generation=_SPEC, status=True, status_metadata="reset", unconditional_update=False
    ),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): _POLICY,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): Rules(
        generation=("webhooks",), unconditional_update=False
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"): Rules(
        generation=_SPEC, status=True, unconditional_update=False
    ),
    ("apiregistration.k8s.io", "apiservices"): Rules(status=True, status_metadata="reset", unconditional_update=False),
    ("apps", "daemonsets"): _WORKLOAD,
    ("apps", "deployments"): Rules(generation=_SPEC, status=True, status_metadata="no-labels"),
    ("apps", "replicasets"): _WORKLOAD,
    ("apps", "statefulsets"): _WORKLOAD,
    ("autoscaling", "horizontalpodautoscalers"): _STATUS_ONLY,
    ("batch", "cronjobs"): _WORKLOAD,
    ("batch", "jobs"): Rules(generation=_SPEC, status=True, garbage_collection="orphan"),
    ("certificates.k8s.io", "certificatesigningrequests"): Rules(
        status=True,
        reset={
            "": (("spec",), ("status",)),
            "status": (("spec",), ("status", "conditions")),
            "approval": (("spec",), ("status", "certificate")),
        },
    ),
    ("certificates.k8s.io", "clustertrustbundles"): _VERSIONED,
    ("certificates.k8s.io", "podcertificaterequests"): Rules(status=True, unconditional_update=False),
    ("coordination.k8s.io", "leasecandidates"): Rules(create_on_update=True, unconditional_update=False),
    ("coordination.k8s.io", "leases"): Rules(create_on_update=True, unconditional_update=False),
    ("discovery.k8s.io", "endpointslices"): Rules(generation=("addressType", "endpoints", "ports")),
    ("events.k8s.io", "events"): Rules(create_on_update=True, garbage_collection="unsupported"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): Rules(generation=_SPEC, status=True, status_metadata="reset"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): Rules(
        generation=_SPEC, status=True, status_metadata="reset"
    ),
    ("networking.k8s.io", "ingresses"): _WORKLOAD,
    ("networking.k8s.io", "ingressclasses"): Rules(generation=_SPEC),
    ("networking.k8s.io", "networkpolicies"): Rules(generation=_SPEC),
    ("networking.k8s.io", "servicecidrs"): Rules(status_metadata="kept"),
    ("node.k8s.io", "runtimeclasses"): Rules(create_on_update=True, unconditional_update=False),
    ("policy", "poddisruptionbudgets"): Rules(generation=_SPEC, status=True, unconditional_update=False),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _CREATED_BY_UPDATE,
    ("rbac.authorization.k8s.io", "clusterroles"): _CREATED_BY_UPDATE,
    ("rbac.authorization.k8s.io", "rolebindings"): _CREATED_BY_UPDATE,
    ("rbac.authorization.k8s.io", "roles"): _CREATED_BY_UPDATE,
    ("resource.k8s.io", "deviceclasses"): Rules(generation=_SPEC),
    ("resource.k8s.io", "devicetaintrules"): Rules(generation=_SPEC, status=True, status_metadata="reset"),
    ("resource.k8s.io", "resourceclaims"): Rules(status=True, status_metadata="kept"),
    ("resource.k8s.io", "resourcepoolstatusrequests"): Rules(status=True, status_metadata="reset"),
    ("resource.k8s.io", "resourceslices"): Rules(generation=_SPEC),
    ("scheduling.k8s.io", "priorityclasses"): Rules(generation=("value",)),
    ("scheduling.k8s.io", "podgroups"): Rules(status=True, status_metadata="reset"),
    ("storage.k8s.io", "csidrivers"): Rules(generation=_SPEC, generation_from_start=False, unconditional_update=False),
    ("storage.k8s.io", "csinodes"): _VERSIONED,
    ("storage.k8s.io", "csistoragecapacities"): _VERSIONED,
    ("storage.k8s.io", "volumeattachments"): Rules(status=True, status_metadata="reset", unconditional_update=False),
    ("storagemigration.k8s.io", "storageversionmigrations"): Rules(
        status=True, status_metadata="reset", unconditional_update=False
    ),
}
_PLAIN = Rules()


def of(resource: Resource) -> Rules:
    """The rules of a built-in resource, whatever its version."""
    return _RULES.get((resource.group, resource.plural), _PLAIN)
