"""The scheduler's view of the cluster, kept up to date by watch events and by its own decisions.

A pod that was given a node is *assumed* to be there until the watch says so, or until the binding failed. As a cycle
runs without interruption, it reads the cache itself: this is its snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest

from knarr.apimachinery.types import Object
from knarr.scheduler.memo import Memo
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.pod_groups import PodGroups
from knarr.scheduler.pod_info import PodInfo
from knarr.scheduler.storage import Storage
from knarr.scheduler.workloads import WorkloadSelectors


class Cache:
    """Nodes with their pods; a `framework.Snapshot`."""

    def __init__(self) -> None:
        self.workloads = WorkloadSelectors()
        self.storage = Storage()
        self.groups = PodGroups()
        self.memo = Memo()
        self._nodes: dict[str, NodeInfo] = {}
        self._ordered: list[NodeInfo] | None = None
        self._places: dict[str, str] = {}
        self._assumed: set[str] = set()
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._images: dict[str, int] = {}

    @property
    def nodes(self) -> Sequence[NodeInfo]:
        """All nodes, those of different zones in turn."""
        if self._ordered is None:
            self._ordered = _alternating(node for node in self._nodes.values() if node.obj is not None)
        return self._ordered

    @property
    def nodes_by_name(self) -> Mapping[str, NodeInfo]:
        """Nodes by name, with those that are known from their pods alone."""
        return self._nodes

    @property
    def image_nodes(self) -> Mapping[str, int]:
        """How many nodes have an image, by its normalized name."""
        return self._images

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace; none when it is unknown."""
        return self._namespaces.get(namespace, {})

    def set_namespace(self, name: str, namespace: Object | None) -> None:
        """Take over a namespace; `None` when it is gone."""
        if namespace is None:
            self._namespaces.pop(name, None)
        else:
            self._namespaces[name] = namespace["metadata"].get("labels") or {}

    def set_node(self, name: str, obj: Object | None) -> None:
        """Take over a node; `None` when it is gone."""
        node = self._nodes.get(name)
        if node is None:
            if obj is None:
                return
            node = self._nodes[name] = NodeInfo(name)
        before, place = (node.obj is None, node.zone), node.place
        self._count_images(node, -1)
        node.set_object(obj)
        self._count_images(node, 1)
        if before != (node.obj is None, node.zone):
            self._ordered = None
        if place != node.place:
            self.memo.forget()
        self._drop_if_empty(node)

    def set_pod(self, pod: PodInfo) -> None:
        """Take over a pod from the watch. One without a node, or that has ended, takes no room."""
        if not pod.node_name or _ended(pod):
            if pod.uid not in self._assumed or _ended(pod):
                self.remove_pod(pod.uid)
            return
        self._assumed.discard(pod.uid)
        self._place(pod.placed(), pod.node_name)

    def remove_pod(self, uid: str) -> None:
        """A pod is gone, or its binding failed."""
        self._assumed.discard(uid)
        name = self._places.pop(uid, None)
        if name is not None:
            node = self._nodes[name]
            self._take_off(node, uid)
            self._drop_if_empty(node)

    def assume(self, pod: PodInfo, node_name: str) -> None:
        """Count a pod on a node before the binding is known to have succeeded."""
        self._assumed.add(pod.uid)
        self._place(pod, node_name)

    def is_assumed(self, uid: str) -> bool:
        """Whether the pod is on its node by assumption alone."""
        return uid in self._assumed

    def _place(self, pod: PodInfo, name: str) -> None:
        before = self._places.get(pod.uid)
        if before is not None:
            old = self._nodes[before]
            self._take_off(old, pod.uid)
            if before != name:
                self._drop_if_empty(old)
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = NodeInfo(name)
        node.add(pod)
        self.groups.add(pod, name)
        self._places[pod.uid] = name

    def _take_off(self, node: NodeInfo, uid: str) -> None:
        self.groups.remove(node.pods[uid], node.name)
        node.remove(uid)

    def _drop_if_empty(self, node: NodeInfo) -> None:
        if node.obj is None and not node.pods:
            self._nodes.pop(node.name, None)

    def _count_images(self, node: NodeInfo, sign: int) -> None:
        for image in node.images:
            count = self._images.get(image, 0) + sign
            if count:
                self._images[image] = count
            else:
                del self._images[image]


def _ended(pod: PodInfo) -> bool:
    return (pod.obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _alternating(nodes: Iterable[NodeInfo]) -> list[NodeInfo]:
    """The first node of each zone, then the second of each, and so on."""
    zones: dict[str, list[NodeInfo]] = {}
    for node in nodes:
        zones.setdefault(node.zone, []).append(node)
    return [node for node in chain.from_iterable(zip_longest(*zones.values())) if node is not None]
