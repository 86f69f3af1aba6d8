"""The Service `kube-system/kube-dns` and its EndpointSlices, by which clients know the cluster's DNS.

The agent of every node answers at the ClusterIP itself and at the first address of the node's pod range. The slices
name the latter, so that whoever routes Services without that agent reaches it too. A Service of that name which has a
selector is somebody else's DNS and stays untouched.

Input: nodes, the Service, its slices; the ClusterIP. Output: what is missing or differs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from knarr.api.registry import ENDPOINTSLICES, NAMESPACES, NODES, SERVICES
from knarr.api.semantics import slice_plan
from knarr.apimachinery.types import Object
from knarr.controller_runtime import slice_changes
from knarr.controller_runtime.changes import DONE, Change, Context, Create, Result
from knarr.controller_runtime.controller import Controller, Watch, nobody
from knarr.controller_runtime.snapshot import SERVICE, Key, Snapshot

ACCOUNT = "cluster-dns-controller"
NAMESPACE, NAME = "kube-system", "kube-dns"
_KEY = Key(SERVICES, NAMESPACE, NAME)
_LABELS = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
_MANAGED_BY, _SERVICE = "endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name"
_MANAGER = f"{ACCOUNT}.knarr.io"
_ZONE = "topology.kubernetes.io/zone"
_PORT = 53
_PORTS: tuple[Object, ...] = (
    {"name": "dns", "port": _PORT, "protocol": "UDP"},
    {"name": "dns-tcp", "port": _PORT, "protocol": "TCP"},
)


def controller(address: str) -> Controller:
    """The controller that publishes the DNS at a ClusterIP."""

    def reconcile(key: Key, snapshot: Snapshot, context: Context) -> Result:
        if snapshot.get(NAMESPACES, "", NAMESPACE) is None:
            return DONE
        service = snapshot.get(*key)
        if service is None:
            # The slices belong to the Service: they follow once it is seen.
            return Result((Create(SERVICES, _service_at(address)),)) if snapshot.list(NODES) else DONE
        return _reconcile_slices(service, snapshot, context)

    return Controller(
        name=ACCOUNT,
        resource=SERVICES,
        watches=(
            Watch(NAMESPACES, nobody),
            Watch(NODES, _always),
            Watch(SERVICES, _of_service),
            Watch(ENDPOINTSLICES, _of_slice),
        ),
        writes=("create services", "create, update, delete endpointslices"),
        reconcile=reconcile,
        workers=1,
    )


def _service_at(address: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "ports": [{**port, "targetPort": _PORT} for port in _PORTS],
        },
    }


def _reconcile_slices(service: Object, snapshot: Snapshot, context: Context) -> Result:
    found = snapshot.indexed(ENDPOINTSLICES, SERVICE, f"{NAMESPACE}/{NAME}")
    existing = [item for item in found if _is_mine(item)]
    changes: list[Change] = []
    for family in ("IPv4", "IPv6"):
        mine = [item for item in existing if item["addressType"] == family]
        endpoints = [] if service["spec"].get("selector") else list(_endpoints(snapshot.list(NODES), family))
        if not endpoints:
            changes += slice_changes.deletions(mine)
            continue
        head = slice_plan.Head(family, f"{NAME}-", {"labels": {**_LABELS, _SERVICE: NAME, _MANAGED_BY: _MANAGER}})
        plan = slice_plan.plan(head, mine, {slice_plan.ports_key(_PORTS): endpoints})
        changes += slice_changes.changes(plan, service, SERVICES, context.names)
    return Result(tuple(changes)) if changes else DONE


def _endpoints(nodes: Iterable[Object], family: str) -> Iterable[Object]:
    for node in nodes:
        for cidr in node.get("spec", {}).get("podCIDRs") or ():
            network = ipaddress.ip_network(cidr)
            if family == f"IPv{network.version}":
                yield _endpoint(node, str(network[1]))


def _endpoint(node: Object, address: str) -> Object:
    meta = node["metadata"]
    ready = _is_ready(node)
    endpoint: Object = {
        "addresses": [address],
        "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "nodeName": meta["name"],
    }
    zone = (meta.get("labels") or {}).get(_ZONE)
    return endpoint | ({"zone": zone} if zone else {})


def _is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _is_mine(item: Object) -> bool:
    labels = item["metadata"].get("labels") or {}
    return labels.get(_SERVICE) == NAME and labels.get(_MANAGED_BY) == _MANAGER


def _always(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    return [_KEY]


def _of_service(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    meta = (new or old or {})["metadata"]
    return [_KEY] if (meta["namespace"], meta["name"]) == (NAMESPACE, NAME) else ()


def _of_slice(old: Object | None, new: Object | None, snapshot: Snapshot) -> Iterable[Key]:
    changed = (item for item in (old, new) if item is not None)
    return [_KEY] if any(item["metadata"]["namespace"] == NAMESPACE and _is_mine(item) for item in changed) else ()
