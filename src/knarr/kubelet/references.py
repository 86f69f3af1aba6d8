"""Which ConfigMaps and Secrets a pod refers to.

Input: a pod or container. Output: keys of objects in the pod's namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from knarr.api.registry import CONFIGMAPS, SECRETS
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object


class Reference(NamedTuple):
    """One ConfigMap or Secret."""

    resource: Resource
    namespace: str
    name: str


def of_pod(pod: Object) -> frozenset[Reference]:
    """Everything the pod's volumes, environments and pulls need."""
    namespace = pod["metadata"]["namespace"]
    spec = pod.get("spec") or {}
    names = [*_of_volumes(spec.get("volumes") or ())]
    names += [(SECRETS, secret.get("name", "")) for secret in spec.get("imagePullSecrets") or ()]
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            names += _of_environment(container)
    return frozenset(Reference(resource, namespace, name) for resource, name in names if name)


def of_container(container: Object, namespace: str) -> frozenset[Reference]:
    """What the container's environment needs."""
    return frozenset(Reference(resource, namespace, name) for resource, name in _of_environment(container) if name)


def _of_volumes(volumes: Iterable[Object]) -> Iterator[tuple[Resource, str]]:
    for volume in volumes:
        if secret := volume.get("secret"):
            yield SECRETS, secret.get("secretName", "")
        if config_map := volume.get("configMap"):
            yield CONFIGMAPS, config_map.get("name", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield SECRETS, (source.get("secret") or {}).get("name", "")
            yield CONFIGMAPS, (source.get("configMap") or {}).get("name", "")


def _of_environment(container: Object) -> Iterator[tuple[Resource, str]]:
    for source in container.get("envFrom") or ():
        yield CONFIGMAPS, (source.get("configMapRef") or {}).get("name", "")
        yield SECRETS, (source.get("secretRef") or {}).get("name", "")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield CONFIGMAPS, (source.get("configMapKeyRef") or {}).get("name", "")
        yield SECRETS, (source.get("secretKeyRef") or {}).get("name", "")
