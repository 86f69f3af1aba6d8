"""The built-in kinds and where their rules stand. Modules are imported when the first object of a kind comes."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from knarr.api.resources import Resource
from knarr.api.validation.kind import Kind

#: (group, plural) -> the module here; its `Kind` bears the plural in capitals. Definitions have a package of their own.
_KINDS: dict[tuple[str, str], str] = {
    ("", "configmaps"): "core_simple",
    ("", "endpoints"): "endpoints",
    ("", "events"): "events",
    ("", "limitranges"): "quotas",
    ("", "namespaces"): "core_simple",
    ("", "nodes"): "nodes",
    ("", "persistentvolumeclaims"): "persistent_volume_claim",
    ("", "persistentvolumes"): "persistent_volume",
    ("", "pods"): "pods",
    ("", "podtemplates"): "pods",
    ("", "replicationcontrollers"): "workloads",
    ("", "resourcequotas"): "quotas",
    ("", "secrets"): "core_simple",
    ("", "serviceaccounts"): "core_simple",
    ("", "services"): "services",
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): "admission_policies",
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): "admission",
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): "admission_policies",
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): "admission_policies",
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): "admission_policies",
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): "admission",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "..definitions.definition",
    ("apiregistration.k8s.io", "apiservices"): "aggregation",
    ("apps", "controllerrevisions"): "workloads",
    ("apps", "daemonsets"): "workloads",
    ("apps", "deployments"): "workloads",
    ("apps", "replicasets"): "workloads",
    ("apps", "statefulsets"): "workloads",
    ("autoscaling", "horizontalpodautoscalers"): "autoscaling",
    ("batch", "cronjobs"): "batch",
    ("batch", "jobs"): "batch",
    ("certificates.k8s.io", "certificatesigningrequests"): "certificates",
    ("coordination.k8s.io", "leases"): "events",
    ("discovery.k8s.io", "endpointslices"): "endpoints",
    ("events.k8s.io", "events"): "events",
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): "flow_control",
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): "flow_control",
    ("networking.k8s.io", "ingressclasses"): "networking",
    ("networking.k8s.io", "ingresses"): "networking",
    ("networking.k8s.io", "ipaddresses"): "networking",
    ("networking.k8s.io", "networkpolicies"): "networking",
    ("networking.k8s.io", "servicecidrs"): "networking",
    ("node.k8s.io", "runtimeclasses"): "policy",
    ("policy", "poddisruptionbudgets"): "policy",
    ("rbac.authorization.k8s.io", "clusterrolebindings"): "rbac",
    ("rbac.authorization.k8s.io", "clusterroles"): "rbac",
    ("rbac.authorization.k8s.io", "rolebindings"): "rbac",
    ("rbac.authorization.k8s.io", "roles"): "rbac",
    ("resource.k8s.io", "deviceclasses"): "devices",
    ("resource.k8s.io", "resourceclaims"): "devices",
    ("resource.k8s.io", "resourceclaimtemplates"): "devices",
    ("resource.k8s.io", "resourceslices"): "device_slices",
    ("scheduling.k8s.io", "priorityclasses"): "policy",
    ("storage.k8s.io", "csidrivers"): "storage",
    ("storage.k8s.io", "csinodes"): "storage",
    ("storage.k8s.io", "csistoragecapacities"): "storage",
    ("storage.k8s.io", "storageclasses"): "storage",
    ("storage.k8s.io", "volumeattachments"): "storage",
    ("storage.k8s.io", "volumeattributesclasses"): "storage",
}


def rules(resource: Resource) -> Kind:
    """The rules of a resource's objects, whatever the version. Raises `KeyError` for a kind without."""
    return _load(resource.group, resource.plural)


def find(resource: Resource) -> Kind | None:
    """The rules of a built-in resource's objects; None for a kind without."""
    try:
        return _found[resource]
    except KeyError:
        key = (resource.group, resource.plural)
        kind = _found[resource] = _load(*key) if key in _KINDS else None
        return kind


#: Asked for several times in every write.
_found: dict[Resource, Kind | None] = {}


def covered() -> frozenset[tuple[str, str]]:
    """(group, plural) of every kind with rules."""
    return _COVERED


_COVERED = frozenset(_KINDS)


@cache
def _load(group: str, plural: str) -> Kind:
    module, name = _KINDS[group, plural], plural.upper()
    found = getattr(import_module(module if module.startswith(".") else f".{module}", "knarr.api.validation"), name)
    if not isinstance(found, Kind):
        raise TypeError(f"{module}.{name} is not the rules of a kind")
    return found
