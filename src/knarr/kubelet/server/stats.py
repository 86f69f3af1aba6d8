"""`/stats/summary`, `/metrics/resource`, `/runningpods`: what the runtime and the machine tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.clock import Clock
from knarr.component_base.http import Response
from knarr.cri.messages import ContainerState
from knarr.cri.runtime import CriError
from knarr.kubelet.server import usage
from knarr.kubelet.server.answers import Refused, json, text
from knarr.kubelet.server.usage import NodeUsage, Usage
from knarr.kubelet.server.view import KubeletView

_PROC = Path("/proc")
_NAMESPACE, _POD, _UID = "io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"
_CONTAINER = "io.kubernetes.container.name"


class Stats:
    """Looks when asked, and keeps the last look for rates."""

    def __init__(self, view: KubeletView, clock: Clock, proc: Path = _PROC) -> None:
        self._view = view
        self._clock = clock
        self._proc = proc
        self._containers: dict[str, Usage] = {}
        self._node: NodeUsage | None = None

    async def summary(self) -> Response:
        """`/stats/summary`."""
        node, containers = await self._look()
        return json(usage.summary(self._view.node_name, node, containers, self._view.pods()))

    async def resource_metrics(self) -> Response:
        """`/metrics/resource`."""
        node, containers = await self._look()
        pods = {pod["metadata"]["uid"]: pod for pod in self._view.pods()}
        starts = {}
        for one in containers:
            started = usage.started_at(pods[one.uid], one.container) if one.uid in pods else ""
            if started:
                starts[one.id] = timestamps.parse(started).timestamp()
        return text(usage.resource_metrics(node, containers, starts))

    async def running_pods(self) -> Response:
        """`/runningpods`: the pods that have running containers, as the runtime knows them."""
        containers = await self._view.runtime.list_containers()
        pods: dict[str, Object] = {}
        for one in containers:
            if one["state"] == ContainerState.RUNNING:
                labels = one["labels"]
                meta = {name: labels.get(key, "") for name, key in _META.items()}
                pod = pods.setdefault(meta["uid"], {"metadata": meta, "spec": {"containers": []}, "status": {}})
                image = (one.get("image") or {}).get("image", "")
                pod["spec"]["containers"].append({"name": labels.get(_CONTAINER, ""), "image": image, "resources": {}})
        return json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(pods.values())})

    async def _look(self) -> tuple[NodeUsage, Sequence[Usage]]:
        try:
            found = await self._view.runtime.container_stats()
        except CriError as error:
            raise Refused(500, str(error)) from error
        containers = [one for stats in found if (one := usage.of(stats, self._containers)) is not None]
        self._containers = {one.id: one for one in containers}
        now = int(self._clock.now().timestamp() * 1_000_000) * 1000
        ticks = os.sysconf("SC_CLK_TCK")
        stat, meminfo = (self._proc / "stat").read_text(), (self._proc / "meminfo").read_text()
        self._node = usage.of_node(stat, meminfo, ticks, now, self._node)
        return self._node, containers


_META = {"name": _POD, "namespace": _NAMESPACE, "uid": _UID}
