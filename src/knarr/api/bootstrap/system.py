"""The objects that a new cluster begins with, besides roles and flow control: pure tables and functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from knarr.apimachinery.types import Object

#: Namespaces, in the order they are made.
NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")

#: Says that the server keeps an APIService itself: from its start, or as long as there is what it tells of.
AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
#: The priority of groups of custom resources.
CUSTOM_PRIORITY = 1000
#: Of API groups: (priority of the group, priority of the version) as kube-apiserver registers them.
GROUP_PRIORITY: dict[str, int] = {
    "": 18000,
    "apiregistration.k8s.io": 20000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "resource.k8s.io": 15900,
}


class Endpoint(NamedTuple):
    """Where the API server listens for the cluster: the ClusterIP's targets."""

    address: str
    port: int


def namespaces() -> Iterator[Object]:
    """The namespaces."""
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def priority_classes() -> Iterator[Object]:
    """The two classes of the system's own pods."""
    rows = (
        (
            "system-node-critical",
            2000001000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        (
            "system-cluster-critical",
            2000000000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if "
            "necessary.",
        ),
    )
    for name, value, description in rows:
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }


def first_address(cidr: str) -> str:
    """The address of the Service `kubernetes`: the first of the range."""
    return str(ipaddress.ip_network(cidr)[1])


def kubernetes_service(cidr: str, endpoint: Endpoint) -> Object:
    """The Service that pods reach the API server by."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": first_address(cidr),
            "clusterIPs": [first_address(cidr)],
            "ipFamilies": [_family(cidr)],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": endpoint.port}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    }


def kubernetes_endpoints(endpoints: Iterable[Endpoint]) -> Object:
    """The Endpoints of that Service."""
    found = list(endpoints)
    ports = [{"name": "https", "port": found[0].port, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": item.address} for item in found], "ports": ports}],
    }


def kubernetes_slice(endpoints: Iterable[Endpoint]) -> Object:
    """The EndpointSlice of that Service."""
    found = list(endpoints)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": _family(found[0].address),
        "endpoints": [{"addresses": [item.address], "conditions": {"ready": True}} for item in found],
        "ports": [{"name": "https", "port": found[0].port, "protocol": "TCP"}],
    }


def service_cidr(cidr: str) -> Object:
    """The range of ClusterIPs as an object."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": [cidr]},
    }


def authentication_map(client_authority: str, proxy_authority: str) -> Object:
    """What extension API servers need to know to trust this one. Authorities are PEM."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": client_authority,
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-client-ca-file": proxy_authority,
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-username-headers": '["X-Remote-User"]',
        },
    }


def api_services(groups: Iterable[tuple[str, str]]) -> Iterator[Object]:
    """The APIService objects of the built-in groups and versions."""
    for group, version in groups:
        spec: Object = {
            "groupPriorityMinimum": GROUP_PRIORITY.get(group, CUSTOM_PRIORITY),
            "version": version,
            "versionPriority": _version_priority(group, version),
        }
        if group:
            spec["group"] = group
        yield {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {
                "name": f"{version}.{group}",
                "labels": {AUTOMANAGED: "onstart"},
            },
            "spec": spec,
        }


def custom_api_service(group: str, version: str) -> Object:
    """The APIService of a version of custom resources: it comes and goes with them."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {AUTOMANAGED: "true"}},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": CUSTOM_PRIORITY,
            "versionPriority": 100,
        },
    }


def _version_priority(group: str, version: str) -> int:
    if (group, version) in (("", "v1"), ("apiregistration.k8s.io", "v1")):
        return 1 if not group else 18
    return 30 if version == "v2" else 15


def _family(text: str) -> str:
    return "IPv6" if ":" in text else "IPv4"
