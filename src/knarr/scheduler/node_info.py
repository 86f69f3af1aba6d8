"""A node as the scheduler sees it: the object read once, and the sum of the pods on it, kept up to date."""

from __future__ import annotations

from knarr.api.semantics import pod_requests
from knarr.api.semantics.tolerations import FORBIDDING, PREFER_NO_SCHEDULE
from knarr.apimachinery.types import Object
from knarr.scheduler.pod_info import PodInfo, normalized_image

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


class NodeInfo:
    """One node and its pods. `generation` grows with every change. Amounts as in `api.semantics.pod_requests`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = 0
        self.pods: dict[str, PodInfo] = {}
        self.used_ports: dict[tuple[str, int], dict[str, int]] = {}
        self.cpu = self.memory = self.nominal_cpu = self.nominal_memory = 0
        self.others: dict[str, int] = {}
        self.set_object(None)

    def set_object(self, obj: Object | None) -> None:
        """Take over the node object; `None` when it is gone while pods are still known on it."""
        self.obj = obj
        meta = (obj or {}).get("metadata") or {}
        spec, status = (obj or {}).get("spec") or {}, (obj or {}).get("status") or {}
        self.labels: dict[str, str] = meta.get("labels") or {}
        self.unschedulable: bool = bool(spec.get("unschedulable"))
        taints: list[Object] = spec.get("taints") or []
        self.taints = [taint for taint in taints if taint.get("effect") in FORBIDDING]
        self.soft_taints = [taint for taint in taints if taint.get("effect") == PREFER_NO_SCHEDULE]
        self.allocatable = pod_requests.amounts(status.get("allocatable"))
        self.allocatable_cpu = self.allocatable.get("cpu", 0)
        self.allocatable_memory = self.allocatable.get("memory", 0)
        self.allocatable_pods = self.allocatable.get("pods", 0)
        self.images = {
            normalized_image(name): int(image.get("sizeBytes", 0))
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }
        self.zone = f"{self.labels.get(REGION, '')}:{self.labels.get(ZONE, '')}"
        self.generation += 1

    @property
    def place(self) -> tuple[object, ...]:
        """All of the node's object that decides whether pods may be here, room apart."""
        return self.obj is None, self.labels, self.unschedulable, self.taints

    def add(self, pod: PodInfo) -> None:
        """Count a pod in."""
        self.pods[pod.uid] = pod
        self._count(pod, 1)

    def remove(self, uid: str) -> None:
        """Count a pod out, if it was counted."""
        pod = self.pods.pop(uid, None)
        if pod is None:
            return
        self._count(pod, -1)

    def _count(self, pod: PodInfo, sign: int) -> None:
        self.cpu += sign * pod.cpu
        self.memory += sign * pod.memory
        self.nominal_cpu += sign * pod.nominal_cpu
        self.nominal_memory += sign * pod.nominal_memory
        for resource, value in pod.others.items():
            self.others[resource] = self.others.get(resource, 0) + sign * value
        for address, protocol, port in pod.host_ports:
            users = self.used_ports.setdefault((protocol, port), {})
            users[address] = users.get(address, 0) + sign
            if users[address] <= 0:
                del users[address]
        self.generation += 1

    def __repr__(self) -> str:
        return f"NodeInfo({self.name}, {len(self.pods)} pods)"
