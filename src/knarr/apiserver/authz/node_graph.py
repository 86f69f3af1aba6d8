"""What each node may read: the objects that the pods on it refer to.

Input: pods, claims, volumes, attachments, slices as they come and go. Output: does a node relate to an object?
Invariant: the answers depend only on the objects that exist, not on the order of events.
Source: https://kubernetes.io/docs/reference/access-authn-authz/node/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from knarr.apimachinery.types import Object

#: An object: resource, namespace, name.
Vertex = tuple[str, str, str]

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class NodeGraph:
    """Objects and the nodes that pods, volumes and attachments connect them with."""

    def __init__(self) -> None:
        #: The references that stand in an object, as (from, to). Every reference has the object at one end.
        self._references: dict[Vertex, frozenset[tuple[Vertex, Vertex]]] = {}
        #: What refers to an object.
        self._sources: dict[Vertex, set[Vertex]] = {}
        #: The node an object belongs to, where it belongs to one directly.
        self._node: dict[Vertex, str] = {}

    def on_event(self, resource: str, event: str, obj: Object) -> None:
        """Take in one change. Resources that connect nothing are ignored."""
        edges = _EDGES.get(resource)
        if edges is None:
            return
        meta = obj["metadata"]
        vertex = (resource, meta.get("namespace", ""), meta["name"])
        if event == "DELETED":
            self._replace(vertex, "", frozenset())
        else:
            node, references = edges(obj, vertex)
            self._replace(vertex, node, frozenset(references))

    def _replace(self, vertex: Vertex, node: str, references: frozenset[tuple[Vertex, Vertex]]) -> None:
        before = self._references.get(vertex, frozenset())
        for source, target in before - references:
            sources = self._sources[target]
            sources.discard(source)
            if not sources:
                del self._sources[target]
        for source, target in references - before:
            self._sources.setdefault(target, set()).add(source)
        if references:
            self._references[vertex] = references
        else:
            self._references.pop(vertex, None)
        if node:
            self._node[vertex] = node
        else:
            self._node.pop(vertex, None)

    def related(self, node: str, vertex: Vertex) -> bool:
        """Tell whether something on `node` leads to this object."""
        seen = {vertex}
        todo = [vertex]
        while todo:
            current = todo.pop()
            if self._node.get(current) == node:
                return True
            for source in self._sources.get(current, ()):
                if source not in seen:
                    seen.add(source)
                    todo.append(source)
        return False


#: The node an object belongs to, and the references in it.
Edges = tuple[str, Iterable[tuple[Vertex, Vertex]]]


def _pod_edges(pod: Object, vertex: Vertex) -> Edges:
    node = (pod.get("spec") or {}).get("nodeName", "")
    # A mirror pod comes from the node itself: it must not open anything to it.
    if not node or MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {}):
        return node, ()
    return node, [(vertex, (resource, vertex[1], name)) for resource, name in pod_references(pod) if name]


def pod_references(pod: Object) -> Iterator[tuple[str, str]]:
    """The namespaced objects that a pod refers to: (resource, name)."""
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName"):
        yield "serviceaccounts", spec["serviceAccountName"]
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or ():
            yield from _container_references(container)
    for volume in spec.get("volumes") or ():
        yield from _volume_references(volume, pod["metadata"].get("name", ""))
    statuses = {
        item.get("name"): item.get("resourceClaimName")
        for item in (pod.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    for claim in spec.get("resourceClaims") or ():
        yield "resourceclaims", claim.get("resourceClaimName") or statuses.get(claim.get("name")) or ""
    extended = (pod.get("status") or {}).get("extendedResourceClaimStatus") or {}
    yield "resourceclaims", extended.get("resourceClaimName", "")


def _container_references(container: Object) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        yield "configmaps", (source.get("configMapRef") or {}).get("name", "")
        yield "secrets", (source.get("secretRef") or {}).get("name", "")
    for variable in container.get("env") or ():
        value = variable.get("valueFrom") or {}
        yield "configmaps", (value.get("configMapKeyRef") or {}).get("name", "")
        yield "secrets", (value.get("secretKeyRef") or {}).get("name", "")


#: Volume types that are about one object, its resource, and the field with its name.
_NAMED = {
    "secret": ("secrets", "secretName"),
    "azureFile": ("secrets", "secretName"),
    "configMap": ("configmaps", "name"),
    "persistentVolumeClaim": ("persistentvolumeclaims", "claimName"),
}
#: Volume types with a `secretRef`, and those that name their secret otherwise.
_SECRET_REF = ("cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")


def _volume_references(volume: Object, pod_name: str) -> Iterator[tuple[str, str]]:
    for kind, source in volume.items():
        if source is None:
            continue
        if kind in _NAMED:
            resource, name = _NAMED[kind]
            yield resource, source.get(name, "")
        elif kind == "ephemeral":
            yield "persistentvolumeclaims", f"{pod_name}-{volume.get('name', '')}"
        elif kind in _SECRET_REF:
            yield "secrets", (source.get("secretRef") or {}).get("name", "")
        elif kind == "csi":
            yield "secrets", (source.get("nodePublishSecretRef") or {}).get("name", "")
        elif kind == "projected":
            yield from _projected_references(source)


def _projected_references(volume: Object) -> Iterator[tuple[str, str]]:
    for source in volume.get("sources") or ():
        for kind in ("secret", "configMap"):
            if source.get(kind):
                yield _NAMED[kind][0], source[kind].get("name", "")


def _volume_object_edges(volume: Object, vertex: Vertex) -> Edges:
    """A PersistentVolume: its claim leads to it, and it leads to its secrets."""
    spec = volume.get("spec") or {}
    claim = spec.get("claimRef") or {}
    if not claim:
        return "", ()
    references = [(vertex, secret) for secret in _volume_secrets(spec, claim)]
    references.append((("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", "")), vertex))
    return "", references


def _volume_secrets(spec: Object, claim: Object) -> Iterator[Vertex]:
    home = claim.get("namespace", "")
    for kind in _SECRET_REF:
        ref = (spec.get(kind) or {}).get("secretRef") or {}
        if ref.get("name"):
            yield "secrets", ref.get("namespace") or home, ref["name"]
    azure = spec.get("azureFile") or {}
    if azure.get("secretName"):
        yield "secrets", azure.get("secretNamespace") or home, azure["secretName"]
    csi = spec.get("csi") or {}
    for name in ("controllerPublishSecretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"):
        ref = csi.get(name) or {}
        if ref.get("name"):
            yield "secrets", ref.get("namespace", ""), ref["name"]


def _named_node(obj: Object, _vertex: Vertex) -> Edges:
    """Objects that name their node themselves, and lead nowhere."""
    return (obj.get("spec") or {}).get("nodeName", ""), ()


_EDGES: dict[str, Callable[[Object, Vertex], Edges]] = {
    "pods": _pod_edges,
    "persistentvolumes": _volume_object_edges,
    "volumeattachments": _named_node,
    "resourceslices": _named_node,
    "podcertificaterequests": _named_node,
}
