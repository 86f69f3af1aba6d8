"""`/stats/summary`, `/metrics/resource`, `/metrics/cadvisor`, `/runningpods`: what runtime, kernel and machine tell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.component_base.clock import Clock
from knarr.component_base.http import Response
from knarr.cri.messages import ContainerState
from knarr.cri.runtime import CriError
from knarr.kubelet import kernel_figures, pod_names
from knarr.kubelet.kernel_figures import FileSystem
from knarr.kubelet.machine import Machine
from knarr.kubelet.server import cadvisor, usage
from knarr.kubelet.server.answers import Refused, json, text
from knarr.kubelet.server.summary import NodeFigures, PodFigures, VolumeUse, summary
from knarr.kubelet.server.usage import NodeUsage, Usage
from knarr.kubelet.server.view import KubeletView
from knarr.kubelet.volumes import usage as volume_usage
from knarr.wire.messages import Message

_NAMESPACE, _POD, _UID = "io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"
_CONTAINER = "io.kubernetes.container.name"
#: Seconds for which what volumes and logs take is good: looking means reading whole folders.
_DISK_SECONDS = 60.0


class Stats:
    """Looks when asked, and keeps the last look for rates."""

    def __init__(self, view: KubeletView, clock: Clock, machine: Machine) -> None:
        self._view = view
        self._clock = clock
        self._machine = machine
        self._containers: dict[str, Usage] = {}
        self._node: NodeUsage | None = None
        #: What a pod's volumes and logs take, by uid, and since when that is known.
        self._disk: dict[str, tuple[float, list[VolumeUse], dict[str, int]]] = {}

    async def summary(self) -> Response:
        """`/stats/summary`."""
        node, containers = await self._look()
        pods = self._view.pods()
        images = await self._ask(self._machine.images.image_fs_info)
        figures, of_pod = await asyncio.to_thread(lambda: (self._node_figures(images), self._pod_figures(pods)))
        return json(summary(node, figures, containers, pods, of_pod))

    async def resource_metrics(self) -> Response:
        """`/metrics/resource`."""
        node, containers = await self._look()
        return text(usage.resource_metrics(node, containers, self._starts(containers)))

    async def cadvisor_metrics(self) -> Response:
        """`/metrics/cadvisor`."""
        node, usages = await self._look()
        images = {each["id"]: (each.get("image") or {}).get("image", "") for each in await self._list()}
        starts = self._starts(usages)
        found = await asyncio.to_thread(lambda: self._groups(node, usages, images, starts))
        return text(cadvisor.render(*found))

    async def running_pods(self) -> Response:
        """`/runningpods`: the pods that have running containers, as the runtime knows them."""
        pods: dict[str, Object] = {}
        for one in await self._list():
            if one["state"] == ContainerState.RUNNING:
                labels = one["labels"]
                meta = {name: labels.get(key, "") for name, key in _META.items()}
                pod = pods.setdefault(meta["uid"], {"metadata": meta, "spec": {"containers": []}, "status": {}})
                image = (one.get("image") or {}).get("image", "")
                pod["spec"]["containers"].append({"name": labels.get(_CONTAINER, ""), "image": image, "resources": {}})
        return json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(pods.values())})

    async def _list(self) -> list[Message]:
        return await self._ask(self._view.runtime.list_containers)

    async def _ask(self, question: Callable[[], Awaitable[list[Message]]]) -> list[Message]:
        """What the runtime answers. Raises `Refused` where it does not."""
        try:
            return await question()
        except CriError as error:
            raise Refused(500, str(error)) from error

    async def _look(self) -> tuple[NodeUsage, Sequence[Usage]]:
        found = await self._ask(self._view.runtime.container_stats)
        containers = [one for stats in found if (one := usage.of(stats, self._containers)) is not None]
        self._containers = {one.id: one for one in containers}
        now = int(self._clock.now().timestamp() * 1_000_000) * 1000
        ticks = os.sysconf("SC_CLK_TCK")
        proc = self._machine.proc
        stat, meminfo = (proc / "stat").read_text(), (proc / "meminfo").read_text()
        self._node = usage.of_node(stat, meminfo, ticks, now, self._node)
        return self._node, containers

    def _starts(self, usages: Sequence[Usage]) -> dict[str, float]:
        """When containers were started, in seconds since 1970, by container id."""
        pods = {pod["metadata"]["uid"]: pod for pod in self._view.pods()}
        found = ((one.id, usage.started_at(pods[one.uid], one.container)) for one in usages if one.uid in pods)
        return {key: timestamps.parse(started).timestamp() for key, started in found if started}

    # in a thread

    def _node_figures(self, images: Sequence[Message]) -> NodeFigures:
        machine = self._machine
        most, running = kernel_figures.process_limit(machine.proc)
        disk = kernel_figures.read_file_system(machine.node.root)
        return NodeFigures(
            name=self._view.node_name,
            started=kernel_figures.boot_time(machine.proc),
            interfaces=kernel_figures.node_interfaces(machine.proc),
            file_system=disk,
            image_file_system=_image_file_system(images, disk),
            image_bytes=sum(int((each.get("used_bytes") or {}).get("value", 0)) for each in images),
            most_processes=most,
            processes=running,
        )

    def _pod_figures(self, pods: Sequence[Object]) -> dict[str, PodFigures]:
        machine = self._machine
        groups = machine.cgroups.pods()
        found: dict[str, PodFigures] = {}
        for pod in pods:
            uid = pod["metadata"]["uid"]
            volumes, logs = self._disk_use(pod)
            group = next(iter(groups.get(uid, ())), "")
            found[uid] = PodFigures(
                interfaces=self._interfaces(pod, group),
                processes=kernel_figures.read_group(machine.cgroups, group).processes if group else 0,
                volumes=volumes,
                logs=logs,
            )
        self._disk = {uid: known for uid, known in self._disk.items() if uid in found}
        return found

    def _interfaces(self, pod: Object, group: str) -> list[kernel_figures.Interface]:
        if not group or pod["spec"].get("hostNetwork"):
            return []
        return kernel_figures.group_interfaces(self._machine.cgroups, group, self._machine.proc)

    def _disk_use(self, pod: Object) -> tuple[list[VolumeUse], dict[str, int]]:
        uid, now = pod["metadata"]["uid"], self._clock.monotonic()
        known = self._disk.get(uid)
        if known is None or now - known[0] > _DISK_SECONDS:
            node = self._machine.node
            volumes = [
                VolumeUse(path.name, volume_usage.used(path), kernel_figures.read_file_system(path))
                for path in (node.pod_directory(uid) / "volumes").glob("*/*")
                if path.is_dir()
            ]
            folder = node.logs / pod_names.log_folder(pod)
            logs = {path.name: volume_usage.used(path) for path in folder.glob("*") if path.is_dir()}
            known = self._disk[uid] = (now, volumes, logs)
        return known[1], known[2]

    def _groups(
        self, node: NodeUsage, usages: Sequence[Usage], images: Mapping[str, str], starts: Mapping[str, float]
    ) -> tuple[list[cadvisor.Container], list[cadvisor.PodNetwork], cadvisor.Machine]:
        machine = self._machine
        cgroups, facts = machine.cgroups, machine.facts
        groups = cgroups.pods()
        whole = Usage("", "", "", "", "", node.time, node.cpu, node.memory, used_memory=node.memory)
        containers = [cadvisor.Container(whole, kernel_figures.read_group(cgroups, ""), "")]
        for one in usages:
            path = f"{next(iter(groups.get(one.uid, ())), '')}/{one.id}".lstrip("/")
            group = kernel_figures.read_group(cgroups, path)
            containers.append(cadvisor.Container(one, group, path, images.get(one.id, ""), starts.get(one.id, 0.0)))
        described = cadvisor.Machine(
            cores=facts.cpus,
            memory=facts.memory,
            swap=facts.swap,
            machine_id=facts.machine_id,
            system_uuid=facts.system_uuid,
            boot_id=facts.boot_id,
            file_system=kernel_figures.read_file_system(machine.node.root),
            interfaces=kernel_figures.node_interfaces(machine.proc),
        )
        return containers, list(self._networks(groups)), described

    def _networks(self, groups: Mapping[str, Sequence[str]]) -> Iterator[cadvisor.PodNetwork]:
        for pod in self._view.pods():
            meta = pod["metadata"]
            group = next(iter(groups.get(meta["uid"], ())), "")
            interfaces = self._interfaces(pod, group)
            if interfaces:
                yield cadvisor.PodNetwork(meta["namespace"], meta["name"], group, interfaces)


def _image_file_system(images: Sequence[Message], otherwise: FileSystem) -> FileSystem:
    """The file system images lie on; that of the kubelet where the runtime does not say."""
    for each in images:
        path = Path(str((each.get("fs_id") or {}).get("mountpoint") or ""))
        if path.is_absolute() and path.exists():
            return kernel_figures.read_file_system(path)
    return otherwise


_META = {"name": _POD, "namespace": _NAMESPACE, "uid": _UID}
