"""A pod as the scheduler sees it: everything it asks over and over, read once from the object."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import TypeAlias

import orjson

from knarr.api.semantics import affinity, pod_requests
from knarr.apimachinery.types import Object

#: What pods of one group have in common: namespace, labels, pod affinity, and whether they terminate.
GroupKey: TypeAlias = tuple[str, frozenset[tuple[str, str]], bytes, bool]


class PodInfo:
    """One pod. Immutable: an update of the pod makes a new one. Amounts as in `api.semantics.pod_requests`."""

    def __init__(self, obj: Object) -> None:
        meta, spec = obj["metadata"], obj.get("spec") or {}
        self.obj = obj
        self.spec: Object = spec
        self.name: str = meta["name"]
        self.namespace: str = meta.get("namespace", "")
        self.key = f"{self.namespace}/{self.name}"
        self.uid: str = meta.get("uid", "") or self.key
        self.labels: dict[str, str] = meta.get("labels") or {}
        self.terminating: bool = bool(meta.get("deletionTimestamp"))
        self.node_name: str = spec.get("nodeName", "")
        self.priority: int = spec.get("priority") or 0
        self.tolerations: list[Object] = spec.get("tolerations") or []
        self.requests = pod_requests.effective_requests(obj)
        nominal = pod_requests.effective_requests(obj, nominal=True)
        self.cpu = self.requests.get("cpu", 0)
        self.memory = self.requests.get("memory", 0)
        self.others = {r: v for r, v in self.requests.items() if v and r not in ("cpu", "memory")}
        self.nominal_cpu = nominal.get("cpu", 0)
        self.nominal_memory = nominal.get("memory", 0)

    def placed(self) -> PodInfo:
        """The same pod with no more of its object than is asked of pods that are on their nodes: a tenth of it."""
        out = copy(self)
        # What these are read from goes.
        _ = out.host_ports, out.group_key
        affine = {"affinity": self.spec["affinity"]} if self.has_affinity else {}
        out.obj = {"metadata": {"name": self.name, "namespace": self.namespace, "uid": self.uid}}
        out.spec, out.tolerations = affine, []
        return out

    def share(self, other: PodInfo) -> None:
        """Use the labels of a pod of the same group in the place of its own, which are equal."""
        self.labels = other.labels
        self.__dict__["group_key"] = other.group_key

    @cached_property
    def group_key(self) -> GroupKey:
        """The group of pods that it is one of."""
        return self.namespace, frozenset(self.labels.items()), self._affinity_text, self.terminating

    @cached_property
    def placement(self) -> bytes:
        """All that the pod says of nodes themselves; pods with the same are judged the same by a node's object."""
        wanted = affinity.part(self.spec, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        said = [self.node_name, self.spec.get("nodeSelector"), wanted, self.tolerations]
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)

    @cached_property
    def host_ports(self) -> tuple[tuple[str, str, int], ...]:
        """(address, protocol, port) of the node's ports the pod takes."""
        return tuple(pod_requests.host_ports(self.spec))

    @cached_property
    def required_nodes(self) -> affinity.NodeMatch | None:
        """Which nodes the pod's selector and required affinity mean; `None` for all."""
        return affinity.required_nodes(self.spec)

    @cached_property
    def affinity_terms(self) -> tuple[affinity.PodTerm, ...]:
        """Required pod affinity."""
        return affinity.required_pods(self.spec, self.namespace, "podAffinity")

    @cached_property
    def anti_affinity_terms(self) -> tuple[affinity.PodTerm, ...]:
        """Required pod anti-affinity."""
        return affinity.required_pods(self.spec, self.namespace, "podAntiAffinity")

    @cached_property
    def preferred_affinity(self) -> tuple[affinity.WeightedPodTerm, ...]:
        """Preferred pod affinity."""
        return affinity.preferred_pods(self.spec, self.namespace, "podAffinity")

    @cached_property
    def preferred_anti_affinity(self) -> tuple[affinity.WeightedPodTerm, ...]:
        """Preferred pod anti-affinity."""
        return affinity.preferred_pods(self.spec, self.namespace, "podAntiAffinity")

    @property
    def has_affinity(self) -> bool:
        """Whether the pod has any pod affinity or anti-affinity."""
        wanted = self.spec.get("affinity")
        return bool(wanted and (wanted.get("podAffinity") or wanted.get("podAntiAffinity")))

    @property
    def _affinity_text(self) -> bytes:
        if not self.has_affinity:
            return b""
        wanted = self.spec["affinity"]
        said = [wanted.get("podAffinity"), wanted.get("podAntiAffinity")]
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The images of all containers, with a tag."""
        containers = (*(self.spec.get("initContainers") or ()), *(self.spec.get("containers") or ()))
        return tuple(normalized_image(container.get("image", "")) for container in containers)

    def __repr__(self) -> str:
        return f"PodInfo({self.key})"


def normalized_image(name: str) -> str:
    """An image name that has a tag: `:latest` unless it says one."""
    return name if name.rfind(":") > name.rfind("/") else name + ":latest"
