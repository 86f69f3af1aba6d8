"""Which pod, container, node and kubelet a request means.

Input: reads of the cache. Output: objects and the kubelet's address, or the `StatusError` Kubernetes gives.
Source of texts: pkg/registry/core/pod (strategy), pkg/registry/core/node, pkg/kubelet/client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from knarr.apimachinery.errors import StatusError, bad_request, internal, not_found
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader

#: The kubelet's port on a node whose status does not tell it.
KUBELET_PORT = 10250
#: The kinds of addresses a kubelet is reached at, the best first.
ADDRESS_TYPES = ("InternalIP", "ExternalIP", "Hostname")


class KubeletAddress(NamedTuple):
    """Where a node's kubelet listens."""

    host: str
    port: int


def pod(reader: Reader, namespace: str, name: str) -> Object:
    """A pod. Raises `StatusError` 404."""
    found = reader.get("pods", "", namespace, name)
    if found is None:
        raise not_found("pods", "", name)
    return found


def container(pod: Object, wanted: str) -> str:
    """The name of the container that is meant. Raises `StatusError` 400 when there is none, or a choice."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    if wanted:
        if wanted not in _all_containers(spec):
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    plain = [one["name"] for one in spec.get("containers") or ()]
    if len(plain) == 1:
        return str(plain[0])
    if not plain:
        raise bad_request(f"a container name must be specified for pod {name}")
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(plain)}]"
    inits = [one["name"] for one in spec.get("initContainers") or ()]
    if inits:
        text += f" or one of the init containers: [{' '.join(inits)}]"
    raise bad_request(text)


def _all_containers(spec: Object) -> Iterator[str]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for one in spec.get(kind) or ():
            yield one["name"]


def node_of(pod: Object) -> str:
    """The node a pod is bound to; `""` for none."""
    return str(pod["spec"].get("nodeName") or "")


def kubelet(reader: Reader, node_name: str) -> KubeletAddress:
    """A node's kubelet. Raises `StatusError`: 404 for an unknown node, 500 for one without an address."""
    node = reader.get("nodes", "", "", node_name)
    if node is None:
        raise not_found("nodes", "", node_name)
    status = node.get("status") or {}
    addresses = status.get("addresses") or ()
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or KUBELET_PORT
    for kind in ADDRESS_TYPES:
        for one in addresses:
            if one["type"] == kind and one["address"]:
                return KubeletAddress(one["address"], int(port))
    known = " ".join(f"{{{one['type']} {one['address']}}}" for one in addresses)
    raise internal(f"no preferred addresses found; known addresses: [{known}]")


def no_host(pod: Object) -> StatusError:
    """400 for a pod that no node has taken yet."""
    return bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
