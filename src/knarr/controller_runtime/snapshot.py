"""What a reconciler may read: the cluster as the watches have shown it, with the reconciler's own writes on top.

Input: nothing. Output: read-only objects. Invariant: within one `reconcile` the snapshot does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from knarr.api.resources import Resource
from knarr.api.semantics import pod_claims, volume_binding
from knarr.apimachinery.types import Object

#: Indexes that `Snapshot.indexed` knows.
OWNER = "owner"  # the uid in any of an object's ownerReferences
NODE = "node"  # spec.nodeName of a pod or an attachment
SERVICE = "service"  # namespace/name of the Service that an EndpointSlice is labelled with
ORPHAN = "orphan"  # the namespace of an object that has no controller
CLAIM = "claim"  # namespace/name of the claims that a pod mounts, or that a volume is reserved for
VOLUME = "volume"  # spec.volumeName of a claim, the volume of an attachment
UNBOUND = "unbound"  # the storage class of a claim that names no volume, or of a volume that is reserved for no claim


class Key(NamedTuple):
    """Names one object; `namespace` is empty for cluster-scoped kinds."""

    resource: Resource
    namespace: str
    name: str


class Snapshot(Protocol):
    """Synchronous reads. What they give must not be changed: copy first."""

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        ...

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Object]:
        """The objects of a namespace, or of all."""
        ...

    def indexed(self, resource: Resource, index: str, value: str) -> Sequence[Object]:
        """The objects that an index (`OWNER`, `NODE`, …) files under a value."""
        ...


def index_values(index: str, obj: Object) -> Sequence[str]:
    """The values under which an index files an object. Raises `KeyError` for an index there is not."""
    return _INDEXES[index](obj)


def _owners(obj: Object) -> Sequence[str]:
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences") or ()]


def _node(obj: Object) -> Sequence[str]:
    name = (obj.get("spec") or {}).get("nodeName")
    return [name] if name else ()


def _service(obj: Object) -> Sequence[str]:
    meta = obj["metadata"]
    name = (meta.get("labels") or {}).get("kubernetes.io/service-name")
    return [f"{meta['namespace']}/{name}"] if name else ()


def _orphan(obj: Object) -> Sequence[str]:
    meta = obj["metadata"]
    if any(owner.get("controller") for owner in meta.get("ownerReferences") or ()):
        return ()
    return [meta.get("namespace", "")]


def _claims(obj: Object) -> Sequence[str]:
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    if ref := spec.get("claimRef"):
        return [f"{ref.get('namespace', '')}/{ref.get('name', '')}"]
    return [f"{meta['namespace']}/{name}" for name in pod_claims.names(obj)] if spec.get("volumes") else ()


def _volume(obj: Object) -> Sequence[str]:
    spec = obj.get("spec") or {}
    name = spec.get("volumeName") or (spec.get("source") or {}).get("persistentVolumeName")
    return [name] if name else ()


def _unbound(obj: Object) -> Sequence[str]:
    spec = obj.get("spec") or {}
    return () if spec.get("volumeName") or spec.get("claimRef") else [volume_binding.class_name(obj)]


_INDEXES = {
    OWNER: _owners,
    NODE: _node,
    SERVICE: _service,
    ORPHAN: _orphan,
    CLAIM: _claims,
    VOLUME: _volume,
    UNBOUND: _unbound,
}
