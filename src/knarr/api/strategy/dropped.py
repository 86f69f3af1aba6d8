"""Fields of features that are off by default: they vanish from objects that did not use them before.

Source: feature gates of Kubernetes v1.36 (alpha ones, and beta ones that need an optional API).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from knarr.api.resources import Resource
from knarr.apimachinery.types import Object


class Feature(NamedTuple):
    """How to find the holders of fields in an object, and the fields each holder must do without."""

    holders: Callable[[Object], Iterator[Object]]
    fields: tuple[str, ...]


_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def _spec(obj: Object) -> Iterator[Object]:
    yield obj["spec"]


def _pod_spec(obj: Object) -> Object:
    """The pod spec in a pod or in whatever has a template."""
    if obj["kind"] == "CronJob":
        obj = obj["spec"]["jobTemplate"]
    template = obj.get("template") or obj["spec"].get("template") or obj
    spec: Object = template["spec"]
    return spec


def _pod(obj: Object) -> Iterator[Object]:
    yield _pod_spec(obj)


def _lifecycles(obj: Object) -> Iterator[Object]:
    spec = _pod_spec(obj)
    return (
        item["lifecycle"] for kind in _CONTAINERS for item in spec.get(kind) or () if item.get("lifecycle") is not None
    )


def _projections(obj: Object) -> Iterator[Object]:
    volumes = _pod_spec(obj).get("volumes", ())
    return (source for volume in volumes for source in (volume.get("projected") or {}).get("sources") or ())


def _rolling_update(obj: Object) -> Iterator[Object]:
    yield obj["spec"]["updateStrategy"].get("rollingUpdate") or {}


def _devices(obj: Object) -> Iterator[Object]:
    return iter(obj["spec"].get("devices") or ())


def _attributes(obj: Object) -> Iterator[Object]:
    return (attribute for device in _devices(obj) for attribute in (device.get("attributes") or {}).values())


_POD = (
    Feature(_lifecycles, ("stopSignal",)),
    Feature(_projections, ("clusterTrustBundle",)),
    Feature(_projections, ("podCertificate",)),
    Feature(_pod, ("schedulingGroup",)),
)
_SLICES = (
    Feature(_devices, ("nodeAllocatableResourceMappings",)),
    Feature(_attributes, ("bools", "ints", "strings", "versions")),
)
_FEATURES: Mapping[tuple[str, str], tuple[Feature, ...]] = {
    ("", "nodes"): (Feature(_spec, ("configSource",)),),
    ("", "pods"): _POD,
    ("", "podtemplates"): _POD,
    ("", "replicationcontrollers"): _POD,
    ("apps", "daemonsets"): _POD,
    ("apps", "deployments"): _POD,
    ("apps", "replicasets"): _POD,
    ("apps", "statefulsets"): (*_POD, Feature(_rolling_update, ("maxUnavailable",))),
    ("batch", "cronjobs"): _POD,
    ("batch", "jobs"): _POD,
    ("coordination.k8s.io", "leases"): (Feature(_spec, ("strategy", "preferredHolder")),),
    ("resource.k8s.io", "resourceslices"): _SLICES,
    ("storage.k8s.io", "csidrivers"): (Feature(_spec, ("preventPodSchedulingIfMissing",)),),
}


def concerns(resource: Resource) -> bool:
    """Whether the kind has such fields."""
    return (resource.group, resource.plural) in _FEATURES


def drop(resource: Resource, obj: Object, old: Object | None = None) -> None:
    """Take the fields out of the object, unless the old one uses their feature."""
    for feature in _FEATURES.get((resource.group, resource.plural), ()):
        if old is None or not _uses(feature, old):
            for holder in feature.holders(obj):
                for name in feature.fields:
                    holder.pop(name, None)
            if feature.holders is _lifecycles:
                _drop_empty_lifecycles(_pod_spec(obj))


def _uses(feature: Feature, obj: Object) -> bool:
    return any(name in holder for holder in feature.holders(obj) for name in feature.fields)


def _drop_empty_lifecycles(spec: dict[str, Any]) -> None:
    for container in (item for kind in _CONTAINERS for item in spec.get(kind) or ()):
        if container.get("lifecycle") == {}:
            del container["lifecycle"]
