"""The objects that stand for a simulated node: the node, its lease, its conditions. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.apimachinery.types import Object
from knarr.simulation.stages import NodeState

#: On everything that a simulation makes; its value is the simulation's name.
LABEL = "simulation.knarr.dev/name"
LEASES = "kube-node-lease"
_HEALTHY = {
    "MemoryPressure": "kubelet has sufficient memory available",
    "DiskPressure": "kubelet has no disk pressure",
    "PIDPressure": "kubelet has sufficient PID available",
}
_REASONS = {
    "MemoryPressure": "KubeletHasSufficientMemory",
    "DiskPressure": "KubeletHasNoDiskPressure",
    "PIDPressure": "KubeletHasSufficientPID",
}
#: Of loopback: whoever dials a simulated node, to read logs or figures, is refused at once and disturbs nobody.
_ADDRESSES = ipaddress.ip_network("127.64.0.0/10")


@dataclass(frozen=True, slots=True)
class Shape:
    """What all nodes of a simulation have in common."""

    name: str
    cpu: str = "32"
    memory: str = "256Gi"
    pods: int = 110
    zones: int = 3
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Object, ...] = ()
    pod_cidr: ipaddress.IPv4Network = ipaddress.IPv4Network("10.128.0.0/9")
    #: Seconds for which a lease is good.
    lease_seconds: int = 40

    def node_name(self, index: int) -> str:
        """The name of the node with this number; five digits, so that names sort as numbers do."""
        return f"{self.name}-{index:05}"

    def range_of(self, index: int) -> str:
        """The pod addresses of a node, a /24. Raises `ValueError` where the range has no more."""
        first = int(self.pod_cidr.network_address) + 256 * index
        if first not in range(int(self.pod_cidr.network_address), int(self.pod_cidr.broadcast_address)):
            raise ValueError(f"{self.pod_cidr} has room for {self.pod_cidr.num_addresses // 256} nodes")
        return f"{ipaddress.IPv4Address(first)}/24"


def host_address(index: int) -> str:
    """The address that a node says it has. Nobody answers there."""
    return str(_ADDRESSES[index % (_ADDRESSES.num_addresses - 2) + 1])


def node(shape: Shape, index: int, version: str, now: str) -> Object:
    """The node with this number, ready at `now`. `version` is the kubelet's that it claims to be."""
    name, size = shape.node_name(index), {"cpu": shape.cpu, "memory": shape.memory, "pods": str(shape.pods)}
    labels = {
        LABEL: shape.name,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/region": "simulated",
        "topology.kubernetes.io/zone": f"zone-{index % shape.zones}",
        **shape.labels,
    }
    pod_cidr = shape.range_of(index)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr], **({"taints": [*shape.taints]} if shape.taints else {})},
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": conditions(NodeState(), now),
            "addresses": [
                {"type": "InternalIP", "address": host_address(index)},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "kubeletVersion": version,
                "kubeProxyVersion": "",
                "containerRuntimeVersion": "simulated://",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "osImage": "simulated",
                "kernelVersion": "",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        },
    }


def lease(shape: Shape, name: str, now: str) -> Object:
    """The lease by which a node says that it lives; `now` has microseconds."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASES, "labels": {LABEL: shape.name}},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": shape.lease_seconds, "renewTime": now},
    }


def conditions(state: NodeState, now: str) -> list[Object]:
    """The conditions that a kubelet writes."""
    ready = {
        "type": "Ready",
        "status": str(state.ready),
        "reason": state.reason or ("KubeletReady" if state.ready else "KubeletNotReady"),
        "message": state.message or ("kubelet is posting ready status" if state.ready else "the simulation says so"),
    }
    healthy = [
        {"type": kind, "status": "False", "reason": _REASONS[kind], "message": text} for kind, text in _HEALTHY.items()
    ]
    return [{**each, "lastHeartbeatTime": now, "lastTransitionTime": now} for each in (*healthy, ready)]
