"""Defaults of the core kinds, pods aside."""

from __future__ import annotations

import base64
from typing import Any

from knarr.api.defaults import pods, resource_lists, volumes
from knarr.apimachinery.types import Object

#: Three hours.
_CLIENT_IP_SECONDS = 10800
_NAME_LABEL = "kubernetes.io/metadata.name"


def config_map(obj: Object) -> None:
    """Nothing that shows: an empty map is not written."""


def secret(obj: Object) -> None:
    """The type; and `stringData` goes into `data`."""
    obj.setdefault("type", "Opaque")
    texts: dict[str, str] = obj.pop("stringData", None) or {}
    if texts:
        data = obj.setdefault("data", {})
        data.update({name: base64.b64encode(text.encode()).decode() for name, text in texts.items()})


def namespace(obj: Object) -> None:
    """A label with the name, and the phase."""
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})[_NAME_LABEL] = name
    obj["status"].setdefault("phase", "Active")


def node(obj: Object) -> None:
    """What is allocatable is the capacity where nothing else is said; `podCIDR` is the first of `podCIDRs`."""
    spec, status = obj["spec"], obj["status"]
    one, many = spec.get("podCIDR", ""), spec.get("podCIDRs") or []
    if one and (not many or many[0] != one):
        spec["podCIDRs"] = [one]
    elif many and not one:
        spec["podCIDR"] = many[0]
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])
    resource_lists.round_up(status, "capacity", "allocatable")


def persistent_volume(obj: Object) -> None:
    """Phase, reclaim policy, mode and what the source leaves open."""
    spec = obj["spec"]
    obj["status"].setdefault("phase", "Pending")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    resource_lists.round_up(spec, "capacity")
    volumes.persistent_source(spec)


def persistent_volume_claim(obj: Object) -> None:
    """Phase and mode."""
    obj["status"].setdefault("phase", "Pending")
    volumes.claim_spec(obj["spec"])
    resource_lists.round_up(obj["status"], "capacity", "allocatedResources")


def pod_template(obj: Object) -> None:
    """The template."""
    pods.template(obj["template"])


def replication_controller(obj: Object) -> None:
    """One replica; selector and labels from the template."""
    spec = obj["spec"]
    spec.setdefault("replicas", 1)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        spec["selector"] = spec.get("selector") or dict(labels)
        obj["metadata"]["labels"] = obj["metadata"].get("labels") or dict(labels)
    pods.template(spec.get("template"))


def resource_quota(obj: Object) -> None:
    """Amounts in thousandths at the finest."""
    resource_lists.round_up(obj["spec"], "hard")
    resource_lists.round_up(obj["status"], "hard", "used")


def limit_range(obj: Object) -> None:
    """For containers: the default limit is the largest allowed, the default request the limit, or the smallest."""
    for item in obj["spec"].get("limits") or ():
        if item["type"] == "Container":
            _container_limits(item)
        resource_lists.round_up(item, "max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def _container_limits(item: Object) -> None:
    limits: dict[str, Any] = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    if limits:
        item["default"] = limits
    if requests:
        item["defaultRequest"] = requests


def endpoints(obj: Object) -> None:
    """The protocol of ports."""
    for subset in obj.get("subsets", ()):
        for port in subset.get("ports", ()):
            port.setdefault("protocol", "TCP")


def service(obj: Object) -> None:
    """Type, affinity, ports and traffic policies."""
    spec = obj["spec"]
    _affinity(spec)
    kind = spec.setdefault("type", "ClusterIP")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if port["targetPort"] in (0, ""):
            port["targetPort"] = port["port"]
    outside = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if outside:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in obj["status"]["loadBalancer"].get("ingress", ()):
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def _affinity(spec: Object) -> None:
    if spec.setdefault("sessionAffinity", "None") == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": _CLIENT_IP_SECONDS}}
