"""The pods that a simulation makes itself, bare or in Deployments. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.simulation.nodes import LABEL

_IMAGE = "simulated.invalid/pause"


@dataclass(frozen=True, slots=True)
class Load:
    """So many pods, in so many Deployments (0: bare), in one namespace."""

    name: str
    namespace: str
    pods: int = 0
    deployments: int = 0
    cpu: str = "100m"
    memory: str = "64Mi"

    def objects(self) -> Iterator[Object]:
        """What is to be created."""
        if self.deployments:
            yield from (self._deployment(index) for index in range(self.deployments))
        else:
            yield from (self._pod(index) for index in range(self.pods))

    def size_of(self, index: int) -> int:
        """The replicas of a Deployment: the pods dealt out evenly."""
        return self.pods // self.deployments + (index < self.pods % self.deployments)

    def _meta(self, name: str) -> Object:
        return {"name": name, "namespace": self.namespace, "labels": {LABEL: self.name}}

    def _pod(self, index: int) -> Object:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": self._meta(f"{self.name}-{index}"), "spec": self._spec()}

    def _deployment(self, index: int) -> Object:
        labels = {"app": f"{self.name}-{index}"}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": self._meta(f"{self.name}-{index}"),
            "spec": {
                "replicas": self.size_of(index),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": {**labels, LABEL: self.name}}, "spec": self._spec()},
            },
        }

    def _spec(self) -> Object:
        requests = {"cpu": self.cpu, "memory": self.memory}
        return {
            "containers": [{"name": "main", "image": _IMAGE, "resources": {"requests": requests}}],
            "automountServiceAccountToken": False,
            "nodeSelector": {LABEL: self.name},
            "tolerations": [{"key": LABEL, "operator": "Exists"}],
        }
