"""Builders for pods and nodes."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from knarr.scheduler.cache import Cache
from knarr.scheduler.pod_info import PodInfo


class MakePod(Protocol):
    def __call__(self, name: str = "p", *, node: str = "", cpu: str = "", memory: str = "", **spec: Any) -> PodInfo: ...


class MakeNode(Protocol):
    def __call__(self, name: str, *, cpu: str = "4", memory: str = "8Gi", **spec: Any) -> dict[str, Any]: ...


class MakeCluster(Protocol):
    def __call__(self, nodes: list[dict[str, Any]], pods: list[PodInfo] | None = None) -> Cache: ...


def build_pod(name: str = "p", *, node: str = "", cpu: str = "", memory: str = "", **spec: Any) -> PodInfo:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    meta = {
        "name": name,
        "namespace": spec.pop("namespace", "default"),
        "uid": f"uid-{name}",
        "labels": spec.pop("labels", {}),
    }
    containers = spec.pop("containers", None) or [{"name": "c", "image": "app", "resources": {"requests": requests}}]
    status = spec.pop("status", {})
    meta.update(spec.pop("meta", {}))
    return PodInfo({"metadata": meta, "spec": {"containers": containers, "nodeName": node, **spec}, "status": status})


def build_node(name: str, *, cpu: str = "4", memory: str = "8Gi", **spec: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, **spec.pop("labels", {})}
    status = {"allocatable": {"cpu": cpu, "memory": memory, "pods": spec.pop("pods", "110"), **spec.pop("more", {})}}
    status["images"] = spec.pop("images", [])
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


def build_cluster(nodes: list[dict[str, Any]], pods: list[PodInfo] | None = None) -> Cache:
    cache = Cache()
    for node in nodes:
        cache.set_node(node["metadata"]["name"], node)
    for pod in pods or ():
        cache.set_pod(pod)
    return cache


@pytest.fixture(scope="session")
def make_pod() -> MakePod:
    return build_pod


@pytest.fixture(scope="session")
def make_node() -> MakeNode:
    return build_node


@pytest.fixture(scope="session")
def make_cluster() -> MakeCluster:
    return build_cluster
