"""What each kind of object uses of a ResourceQuota.

Input: an object, the time. Output: a resource list with the names that quotas know (`requests.cpu`, `count/pods`).
Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from knarr.api.semantics import pod_totals, quota_scopes
from knarr.api.semantics.quota_scopes import InScope
from knarr.api.semantics.resource_lists import Resources, parsed
from knarr.apimachinery import quantity, timestamps
from knarr.apimachinery.quantity import Quantity
from knarr.apimachinery.types import Object

#: Resources that no quota counts: what is not stored, and events.
IGNORED = frozenset(
    {
        ("bindings", ""),
        ("componentstatuses", ""),
        ("events", ""),
        ("events", "events.k8s.io"),
        ("localsubjectaccessreviews", "authorization.k8s.io"),
        ("selfsubjectaccessreviews", "authorization.k8s.io"),
        ("selfsubjectreviews", "authentication.k8s.io"),
        ("selfsubjectrulesreviews", "authorization.k8s.io"),
        ("subjectaccessreviews", "authorization.k8s.io"),
        ("tokenreviews", "authentication.k8s.io"),
    }
)
_ONE = Quantity(1)
#: Of these a pod must say how much it wants once a quota counts them.
_DEMANDED = frozenset({"cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"})
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"
#: How a pod asks for a device of a class as if it were an extended resource.
_DEVICE_CLASS = "deviceclass.resource.kubernetes.io/"
_DEVICES = ".deviceclass.resource.k8s.io/devices"
#: Devices that a request for all of a class counts as: the most that one claim may get.
_MOST_DEVICES = 32


@dataclass(frozen=True, slots=True)
class Measure:
    """How quotas count the objects of one resource."""

    #: Which resource names of a quota concern these objects.
    counts: Callable[[str], bool]
    usage: Callable[[Object, datetime], Resources]
    #: Which updates (old, new) may use more.
    updates: Callable[[Object, Object], bool] = lambda _old, _new: False
    in_scope: InScope = quota_scopes.nothing

    def counted(self, names: Iterable[str]) -> list[str]:
        """Those of a quota's resource names that concern these objects, in order."""
        return [name for name in names if self.counts(name)]

    def covers(self, quota: Object, obj: Object) -> bool:
        """Whether an object is in all scopes of a quota."""
        return all(self.in_scope(selector, obj) for selector in quota_scopes.selectors(quota))


def measure(plural: str, group: str) -> Measure:
    """How the objects of a resource are counted."""
    return _MEASURES.get((plural, group)) or _counting(plural, group)


def count_name(plural: str, group: str) -> str:
    """`count/deployments.apps`."""
    return f"count/{plural}.{group}" if group else f"count/{plural}"


@cache
def _counting(plural: str, group: str, alias: str = "") -> Measure:
    names = (count_name(plural, group), *([alias] if alias else []))
    one: Resources = dict.fromkeys(names, _ONE)
    return Measure(lambda name: name in names, lambda _obj, _now: one)


# pods

_POD_NAMES = frozenset(
    {
        "count/pods",
        "ephemeral-storage",
        "limits.ephemeral-storage",
        "pods",
        "requests.ephemeral-storage",
        *_DEMANDED,
    }
)


def _counts_pods(name: str) -> bool:
    if name in _POD_NAMES or name.startswith(("hugepages-", "requests.hugepages-")):
        return True
    return name.startswith("requests.") and _is_extended(name.removeprefix("requests."))


def pod_usage(pod: Object, now: datetime) -> Resources:
    """What a pod uses. One that has ended, or should have by now, only counts as an object."""
    used: dict[str, Quantity] = {"count/pods": _ONE}
    if not has_ended(pod, now):
        used["pods"] = _ONE
        used.update(_compute(pod_totals.requests(pod), pod_totals.limits(pod)))
    return used


def has_ended(pod: Object, now: datetime) -> bool:
    """Whether a pod counts as gone: its phase says so, or its grace period is over."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return True
    meta = pod["metadata"]
    deleted, grace = meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds")
    if not deleted or grace is None:
        return False
    return timestamps.parse(deleted) + timedelta(seconds=grace) < now


def _compute(requests: Resources, limits: Resources) -> dict[str, Quantity]:
    used: dict[str, Quantity] = {}
    for name, value in requests.items():
        native = name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-")
        if native:
            used[name] = value
        if native or _is_extended(name):
            used[f"requests.{name}"] = value
    for name in ("cpu", "memory", "ephemeral-storage"):
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    return used


def _is_extended(name: str) -> bool:
    if name.startswith(_DEVICE_CLASS):
        return True
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def unspecified(pod: Object, names: Iterable[str]) -> str:
    """What a pod must say and does not: `limits.cpu for: a,b; memory for: a`; empty when all is said.

    Once a quota counts cpu or memory, each container has to say how much it wants, unless the pod as a whole does.
    """
    demanded = _DEMANDED.intersection(names)
    spec = pod.get("spec") or {}
    if pod_totals.speaks_for_itself(spec):
        return ""
    missing: dict[str, set[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        said = _compute(parsed(resources.get("requests")), parsed(resources.get("limits")))
        for name in demanded - said.keys():
            missing.setdefault(name, set()).add(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


# services


def _counts_services(name: str) -> bool:
    return name in ("count/services", "services", "services.nodeports", "services.loadbalancers")


def service_usage(service: Object, _now: datetime) -> Resources:
    """What a service uses: itself, its node ports, a load balancer."""
    spec = service.get("spec") or {}
    kind, ports = spec.get("type"), spec.get("ports") or ()
    node_ports = len(ports) if kind in ("NodePort", "LoadBalancer") else 0
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        node_ports = sum(1 for port in ports if port.get("nodePort"))
    return {
        "count/services": _ONE,
        "services": _ONE,
        "services.nodeports": quantity.of(node_ports),
        "services.loadbalancers": quantity.of(int(kind == "LoadBalancer")),
    }


# claims

_CLAIM_NAMES = ("persistentvolumeclaims", "requests.storage")


def _counts_claims(name: str) -> bool:
    if name == "count/persistentvolumeclaims" or name in _CLAIM_NAMES:
        return True
    return name.endswith(tuple(_STORAGE_CLASS + kind for kind in _CLAIM_NAMES))


def claim_usage(claim: Object, _now: datetime) -> Resources:
    """What a claim of a volume uses: itself and its storage, in all and of its class."""
    used = {"persistentvolumeclaims": _ONE}
    storage = _storage(claim)
    if storage is not None:
        used["requests.storage"] = storage
    name = storage_class(claim)
    if name:
        used |= {f"{name}{_STORAGE_CLASS}{kind}": value for kind, value in used.items()}
    return {**used, "count/persistentvolumeclaims": _ONE}


def storage_class(claim: Object) -> str:
    """The class that a claim names; the annotation of old comes first."""
    annotations = claim["metadata"].get("annotations") or {}
    name = annotations.get("volume.beta.kubernetes.io/storage-class")
    return str((claim.get("spec") or {}).get("storageClassName") or "") if name is None else name


def _storage(claim: Object) -> Quantity | None:
    """The whole bytes that a claim asks for, or has been given when that is more."""
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    if "storage" not in requests:
        return None
    allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
    asked = quantity.from_json(requests["storage"])
    return max(asked, quantity.from_json(allocated)).round_up(0)


def _counts_device_claims(name: str) -> bool:
    return name == "count/resourceclaims.resource.k8s.io" or name.endswith(_DEVICES)


def device_claim_usage(claim: Object, _now: datetime) -> Resources:
    """What a claim of devices uses: itself, and the devices of each class; of alternatives the largest."""
    classes: dict[str, int] = {}
    for request in ((claim.get("spec") or {}).get("devices") or {}).get("requests") or ():
        choices = request.get("firstAvailable") or [request.get("exactly") or request]
        most: dict[str, int] = {}
        for choice in choices:
            name = choice.get("deviceClassName", "")
            most[name] = max(most.get(name, 0), _devices(choice))
        for name, count in most.items():
            classes[name] = classes.get(name, 0) + count
    used = {f"{name}{_DEVICES}": quantity.of(count) for name, count in classes.items()}
    return {**used, "count/resourceclaims.resource.k8s.io": _ONE}


def _devices(request: Object) -> int:
    if request.get("allocationMode") == "All":
        return _MOST_DEVICES
    return int(request.get("count") or 1)


def _always(_old: Object, _new: Object) -> bool:
    return True


_MEASURES: dict[tuple[str, str], Measure] = {
    ("configmaps", ""): _counting("configmaps", "", "configmaps"),
    ("persistentvolumeclaims", ""): Measure(_counts_claims, claim_usage, _always, quota_scopes.claim),
    ("pods", ""): Measure(_counts_pods, pod_usage, quota_scopes.moves, quota_scopes.pod),
    ("replicationcontrollers", ""): _counting("replicationcontrollers", "", "replicationcontrollers"),
    ("resourceclaims", "resource.k8s.io"): Measure(_counts_device_claims, device_claim_usage, _always),
    ("resourcequotas", ""): _counting("resourcequotas", "", "resourcequotas"),
    ("secrets", ""): _counting("secrets", "", "secrets"),
    ("services", ""): Measure(_counts_services, service_usage, _always),
}
