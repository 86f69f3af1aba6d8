"""The built-in kinds and where their rules stand. Modules are imported when the first object of a kind comes."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from knarr.api.resources import Resource
from knarr.api.validation.kind import Kind

#: (group, plural) -> (module here, name of its `Kind`).
_KINDS: dict[tuple[str, str], tuple[str, str]] = {
    ("", "configmaps"): ("core_simple", "CONFIGMAPS"),
    ("", "endpoints"): ("endpoints", "ENDPOINTS"),
    ("", "events"): ("events", "EVENTS"),
    ("", "limitranges"): ("quotas", "LIMITRANGES"),
    ("", "namespaces"): ("core_simple", "NAMESPACES"),
    ("", "nodes"): ("nodes", "NODES"),
    ("", "resourcequotas"): ("quotas", "RESOURCEQUOTAS"),
    ("", "secrets"): ("core_simple", "SECRETS"),
    ("", "serviceaccounts"): ("core_simple", "SERVICEACCOUNTS"),
    ("", "services"): ("services", "SERVICES"),
    ("", "pods"): ("pods", "PODS"),
    ("", "podtemplates"): ("pods", "PODTEMPLATES"),
    ("", "replicationcontrollers"): ("workloads", "REPLICATIONCONTROLLERS"),
    ("", "persistentvolumeclaims"): ("persistent_volume_claim", "PERSISTENTVOLUMECLAIMS"),
    ("apps", "controllerrevisions"): ("workloads", "CONTROLLERREVISIONS"),
    ("apps", "daemonsets"): ("workloads", "DAEMONSETS"),
    ("apps", "deployments"): ("workloads", "DEPLOYMENTS"),
    ("apps", "replicasets"): ("workloads", "REPLICASETS"),
    ("apps", "statefulsets"): ("workloads", "STATEFULSETS"),
    ("coordination.k8s.io", "leases"): ("events", "LEASES"),
    ("discovery.k8s.io", "endpointslices"): ("endpoints", "ENDPOINTSLICES"),
    ("events.k8s.io", "events"): ("events", "EVENTS"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): ("rbac", "CLUSTERROLEBINDINGS"),
    ("rbac.authorization.k8s.io", "clusterroles"): ("rbac", "CLUSTERROLES"),
    ("rbac.authorization.k8s.io", "rolebindings"): ("rbac", "ROLEBINDINGS"),
    ("rbac.authorization.k8s.io", "roles"): ("rbac", "ROLES"),
}


def rules(resource: Resource) -> Kind:
    """The rules of a resource's objects, whatever the version. Raises `KeyError` for a kind without."""
    return _load(resource.group, resource.plural)


def covered() -> frozenset[tuple[str, str]]:
    """(group, plural) of every kind with rules."""
    return _COVERED


_COVERED = frozenset(_KINDS)


@cache
def _load(group: str, plural: str) -> Kind:
    module, name = _KINDS[group, plural]
    found = getattr(import_module(f"knarr.api.validation.{module}"), name)
    if not isinstance(found, Kind):
        raise TypeError(f"{module}.{name} is not the rules of a kind")
    return found
