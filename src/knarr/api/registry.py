"""The resources a server serves: the built-in ones by default, with constants for those components use by name.

The table is `tables/registry.json`, in discovery order, made by `scripts/generate_registry.py`. It has every version of
v1.36; a default server serves the stable ones (`RESOURCES`), the others are `OPTIONAL`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from knarr.api.resources import Resource, Subresource
from knarr.api.tables.load import load

_STABLE = re.compile(r"v[0-9]+")


def _subresource(row: list[Any], group: str, version: str) -> Subresource:
    name, kind, kind_group, kind_version, verbs = row
    if not kind_version:
        kind_group, kind_version = group, version
    return Subresource(name, kind, kind_group, kind_version, tuple(verbs))


def _resource(row: Mapping[str, Any], group: str, version: str) -> Resource:
    storage_group, storage_version = row.get("storage_group_version", (group, version))
    return Resource(
        group=group,
        version=version,
        plural=row["plural"],
        kind=row["kind"],
        namespaced=row["namespaced"],
        verbs=tuple(row["verbs"]),
        singular=row["singular"],
        short_names=tuple(row.get("short_names", ())),
        categories=tuple(row.get("categories", ())),
        subresources=tuple(_subresource(item, group, version) for item in row.get("subresources", ())),
        storage=row.get("storage", ""),
        storage_version=storage_version,
        storage_version_hash=row.get("hash", ""),
        storage_group=storage_group,
    )


def _read() -> Iterable[Resource]:
    for entry in load("registry.json"):
        for row in entry["resources"]:
            yield _resource(row, entry["group"], entry["version"])


_ALL = tuple(_read())
#: What a default server serves, in discovery order: groups by priority, of each the preferred version first.
RESOURCES: tuple[Resource, ...] = tuple(item for item in _ALL if _STABLE.fullmatch(item.version))
#: Alpha and beta versions, served only when asked for (`--runtime-config`).
OPTIONAL: tuple[Resource, ...] = tuple(item for item in _ALL if not _STABLE.fullmatch(item.version))

_BY_PLURAL = {(item.group, item.version, item.plural): item for item in RESOURCES}
_BY_KIND = {(item.group, item.version, item.kind): item for item in RESOURCES}
_PREFERRED: dict[tuple[str, str], Resource] = {}
for _item in RESOURCES:
    _PREFERRED.setdefault((_item.plural, _item.group), _item)


def lookup(group: str, version: str, plural: str) -> Resource | None:
    """The built-in resource of a URL path, or None."""
    return _BY_PLURAL.get((group, version, plural))


def by_kind(group: str, version: str, kind: str) -> Resource | None:
    """The built-in resource whose objects have this kind, or None."""
    return _BY_KIND.get((group, version, kind))


def resource(plural: str, group: str = "") -> Resource:
    """The built-in resource in its preferred version; raises `KeyError`."""
    return _PREFERRED[plural, group]


# Core
BINDINGS = resource("bindings")
COMPONENTSTATUSES = resource("componentstatuses")
CONFIGMAPS = resource("configmaps")
ENDPOINTS = resource("endpoints")
EVENTS = resource("events")
LIMITRANGES = resource("limitranges")
NAMESPACES = resource("namespaces")
NODES = resource("nodes")
PVCS = resource("persistentvolumeclaims")
PVS = resource("persistentvolumes")
PODS = resource("pods")
PODTEMPLATES = resource("podtemplates")
REPLICATIONCONTROLLERS = resource("replicationcontrollers")
RESOURCEQUOTAS = resource("resourcequotas")
SECRETS = resource("secrets")
SERVICEACCOUNTS = resource("serviceaccounts")
SERVICES = resource("services")
# Workloads
CONTROLLERREVISIONS = resource("controllerrevisions", "apps")
DAEMONSETS = resource("daemonsets", "apps")
DEPLOYMENTS = resource("deployments", "apps")
REPLICASETS = resource("replicasets", "apps")
STATEFULSETS = resource("statefulsets", "apps")
CRONJOBS = resource("cronjobs", "batch")
JOBS = resource("jobs", "batch")
HPAS = resource("horizontalpodautoscalers", "autoscaling")
PODDISRUPTIONBUDGETS = resource("poddisruptionbudgets", "policy")
PRIORITYCLASSES = resource("priorityclasses", "scheduling.k8s.io")
RUNTIMECLASSES = resource("runtimeclasses", "node.k8s.io")
LEASES = resource("leases", "coordination.k8s.io")
EVENTS_V1 = resource("events", "events.k8s.io")
# Network
ENDPOINTSLICES = resource("endpointslices", "discovery.k8s.io")
INGRESSES = resource("ingresses", "networking.k8s.io")
INGRESSCLASSES = resource("ingressclasses", "networking.k8s.io")
IPADDRESSES = resource("ipaddresses", "networking.k8s.io")
NETWORKPOLICIES = resource("networkpolicies", "networking.k8s.io")
SERVICECIDRS = resource("servicecidrs", "networking.k8s.io")
# Storage
CSIDRIVERS = resource("csidrivers", "storage.k8s.io")
CSINODES = resource("csinodes", "storage.k8s.io")
CSISTORAGECAPACITIES = resource("csistoragecapacities", "storage.k8s.io")
STORAGECLASSES = resource("storageclasses", "storage.k8s.io")
VOLUMEATTACHMENTS = resource("volumeattachments", "storage.k8s.io")
VOLUMEATTRIBUTESCLASSES = resource("volumeattributesclasses", "storage.k8s.io")
# Access
ROLES = resource("roles", "rbac.authorization.k8s.io")
ROLEBINDINGS = resource("rolebindings", "rbac.authorization.k8s.io")
CLUSTERROLES = resource("clusterroles", "rbac.authorization.k8s.io")
CLUSTERROLEBINDINGS = resource("clusterrolebindings", "rbac.authorization.k8s.io")
CSRS = resource("certificatesigningrequests", "certificates.k8s.io")
TOKENREVIEWS = resource("tokenreviews", "authentication.k8s.io")
SELFSUBJECTREVIEWS = resource("selfsubjectreviews", "authentication.k8s.io")
SUBJECTACCESSREVIEWS = resource("subjectaccessreviews", "authorization.k8s.io")
SELFSUBJECTACCESSREVIEWS = resource("selfsubjectaccessreviews", "authorization.k8s.io")
SELFSUBJECTRULESREVIEWS = resource("selfsubjectrulesreviews", "authorization.k8s.io")
LOCALSUBJECTACCESSREVIEWS = resource("localsubjectaccessreviews", "authorization.k8s.io")
# The server itself
APISERVICES = resource("apiservices", "apiregistration.k8s.io")
CUSTOMRESOURCEDEFINITIONS = resource("customresourcedefinitions", "apiextensions.k8s.io")
FLOWSCHEMAS = resource("flowschemas", "flowcontrol.apiserver.k8s.io")
PRIORITYLEVELCONFIGURATIONS = resource("prioritylevelconfigurations", "flowcontrol.apiserver.k8s.io")
MUTATINGWEBHOOKCONFIGURATIONS = resource("mutatingwebhookconfigurations", "admissionregistration.k8s.io")
VALIDATINGWEBHOOKCONFIGURATIONS = resource("validatingwebhookconfigurations", "admissionregistration.k8s.io")
VALIDATINGADMISSIONPOLICIES = resource("validatingadmissionpolicies", "admissionregistration.k8s.io")
VALIDATINGADMISSIONPOLICYBINDINGS = resource("validatingadmissionpolicybindings", "admissionregistration.k8s.io")
MUTATINGADMISSIONPOLICIES = resource("mutatingadmissionpolicies", "admissionregistration.k8s.io")
MUTATINGADMISSIONPOLICYBINDINGS = resource("mutatingadmissionpolicybindings", "admissionregistration.k8s.io")
# Devices
DEVICECLASSES = resource("deviceclasses", "resource.k8s.io")
RESOURCECLAIMS = resource("resourceclaims", "resource.k8s.io")
RESOURCECLAIMTEMPLATES = resource("resourceclaimtemplates", "resource.k8s.io")
RESOURCESLICES = resource("resourceslices", "resource.k8s.io")
