"""Defaults of pods and pod templates."""

from __future__ import annotations

from typing import Any

from knarr.api.defaults import pod_resources, resource_lists
from knarr.api.defaults.containers import container
from knarr.api.defaults.volumes import volume
from knarr.apimachinery.types import Object

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def pod(obj: Object) -> None:
    """A pod: what templates get, and what only a pod gets."""
    spec = obj["spec"]
    for name in ("initContainers", "containers"):
        for item in spec.get(name) or ():
            _requests_from_limits(item["resources"])
            if spec.get("hostNetwork"):
                _host_ports(item)
    pod_resources.complete(spec)
    spec.setdefault("enableServiceLinks", True)
    template(obj)
    status(obj)


def status(obj: Object) -> None:
    """A pod's status."""
    _addresses(obj["status"])


def template(obj: Object | None) -> None:
    """A pod template."""
    if obj is None:
        return
    spec = obj["spec"]
    _constants(spec)
    _renamed(spec)
    for name in _CONTAINERS:
        for item in spec.get(name) or ():
            container(item)
    for item in spec.get("volumes", ()):
        volume(item)
    resource_lists.requirements(spec.get("resources"))
    resource_lists.round_up(spec, "overhead")


def _constants(spec: Object) -> None:
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")


def _renamed(spec: Object) -> None:
    """`serviceAccount` is the old name of `serviceAccountName`; a negative grace period means one second."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1


def _requests_from_limits(resources: Object) -> None:
    limits: dict[str, Any] = resources.get("limits") or {}
    if limits:
        requests = resources.setdefault("requests", {})
        for resource, amount in limits.items():
            requests.setdefault(resource, amount)


def _host_ports(item: Object) -> None:
    for port in item.get("ports", ()):
        if port["containerPort"]:
            port.setdefault("hostPort", port["containerPort"])


def _addresses(status: Object) -> None:
    """`podIP` is the first of `podIPs`; where they differ the single one counts."""
    one, many = status.get("podIP", ""), status.get("podIPs") or []
    if one and (not many or many[0].get("ip", "") != one):
        status["podIPs"] = [{"ip": one}]
    elif many and not one:
        status["podIP"] = many[0].get("ip", "")
