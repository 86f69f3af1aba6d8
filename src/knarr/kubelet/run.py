"""The kubelet of one node: puts its parts together, starts and stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from knarr.api.registry import PODS, RUNTIMECLASSES
from knarr.apimachinery import fields
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs, process_metrics
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.informer import Informer
from knarr.controller_runtime.informers import Informers
from knarr.cri.runtime import Runtime
from knarr.kubelet import admission, pod_names
from knarr.kubelet.cgroups import Cgroups
from knarr.kubelet.container_config import log_path
from knarr.kubelet.host import Host
from knarr.kubelet.image_gc import ImageCollector, Shortage
from knarr.kubelet.images import ImagePuller
from knarr.kubelet.log_rotation import LogRotator
from knarr.kubelet.machine import Machine
from knarr.kubelet.measured_runtime import measured
from knarr.kubelet.metrics import KubeletMetrics, RuntimeMetrics
from knarr.kubelet.node_agent import NodeAgent
from knarr.kubelet.node_config import NodeConfig
from knarr.kubelet.node_facts import read_facts
from knarr.kubelet.pods import Pods
from knarr.kubelet.podworker.model import Note
from knarr.kubelet.referenced import Referenced
from knarr.kubelet.runtime_watch import RuntimeWatch
from knarr.kubelet.status_manager import StatusManager
from knarr.kubelet.tokens import TokenManager
from knarr.kubelet.volumes.claims import Claims
from knarr.kubelet.volumes.manager import VolumeManager

_log = logs.get("kubelet")


class Kubelet:
    """One node's kubelet; it is a `server.KubeletView`. `informers` belong to the caller, who runs and closes them.

    `services` is the caller's informer of Services: containers start once it has synced.
    `events(regarding, type, reason, message, field_path)` records an Event; `kept_images` gives names that image
    collection leaves alone.
    """

    def __init__(  # noqa: PLR0913 - what a kubelet stands on
        self,
        node: NodeConfig,
        runtime: Runtime,
        client: Client,
        informers: Informers,
        clock: Clock,
        *,
        services: Informer,
        events: Callable[[Object, str, str, str, str], None],
        kept_images: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self.node, self._client, self._clock = node, client, clock
        runtime_metrics = RuntimeMetrics()
        runtime = self._runtime = measured(runtime, runtime_metrics)
        self._tasks = Tasks()
        node.root.mkdir(parents=True, exist_ok=True)
        node.logs.mkdir(parents=True, exist_ok=True)
        self.agent = NodeAgent(node, read_facts(node.root), runtime, client, clock)
        self._events = events
        self._objects = Referenced(client, clock)
        self.volumes = VolumeManager(
            node.root,
            self._objects,
            TokenManager(client, clock),
            Claims(client),
            clock,
            allocatable=self.agent.allocatable,
            failed=self._mount_failed,
        )
        self._images = ImagePuller(runtime, self._objects, clock)
        self._statuses = StatusManager(client, clock)
        self._services = services
        self._host = self._make_host()
        #: What `/metrics` shows.
        self.metrics = KubeletMetrics(node.name, self.pods, runtime_metrics, self._host.metrics)
        self.metrics.registry.add(*process_metrics.families())
        self.pods_here = Pods(self._host, self._statuses, self._admit)
        self._pod_informer = informers.add(PODS, field_selector=f"spec.nodeName={fields.escape(node.name)}")
        self._objects.listen(lambda reference: self.pods_here.retry(self._objects.users(reference)))
        self._collector = ImageCollector(runtime, clock, kept_images, self._short_of_disk)

    def _make_host(self) -> Host:
        return Host(
            node=self.node,
            runtime=self._runtime,
            images=self._images,
            volumes=self.volumes,
            objects=self._objects,
            cgroups=Cgroups(self.node.cgroup_root, self._clock),
            clock=self._clock,
            record=self.record,
            handler=self._handler,
            services=self._services.list,
            allocatable=self.agent.allocatable,
        )

    async def start(self) -> None:
        """Register the node and begin to run pods. Raises `CriError` and `OSError` when the node cannot."""
        await asyncio.to_thread(self._host.cgroups.set_up)
        await asyncio.gather(self.agent.register(), self.pods_here.take_stock())
        tasks = self._tasks
        tasks.forever(self.agent.report, "node status")
        tasks.forever(self.agent.keep_lease, "lease")
        watch = RuntimeWatch(self._runtime, self._clock, self.pods_here.ended, self.pods_here.relist)
        tasks.forever(watch.follow, "runtime events")
        tasks.forever(watch.look_now_and_then, "relist")
        tasks.forever(self.volumes.run, "volumes")
        tasks.forever(self.pods_here.keep_volumes_small, "sizes of volumes")
        tasks.forever(self._collector.run, "image collection")
        tasks.forever(LogRotator(self._runtime, self._clock, self._running_logs).run, "log rotation")
        tasks.start(self._follow_pods(), "pods")
        self._events(self._node_reference(), "Normal", "Starting", "Starting kubelet.", "")

    async def close(self) -> None:
        """Stop; pods keep running."""
        await self._tasks.close()
        await self.pods_here.close()
        try:
            async with asyncio.timeout(2):
                await self._statuses.flush()
        except TimeoutError:
            _log.warning("statuses left unwritten")
        await self._statuses.close()
        await self.volumes.close()
        await self._images.close()
        await self._objects.close()

    async def _follow_pods(self) -> None:
        # Without Services, containers would start without their variables.
        await self._services.synced.wait()
        await self._pod_informer.synced.wait()
        self._pod_informer.listen(self.pods_here.changed)
        await self.pods_here.remove_orphans()
        for uid in self.volumes.found() - {pod["metadata"]["uid"] for pod in self.pods_here.all()}:
            await self.volumes.teardown(uid)

    # events

    def record(self, pod: Object, note: Note) -> None:
        """Record an event about a pod, or about one of its containers."""
        path = _field_path(pod, note.container) if note.container else ""
        regarding = pod if "kind" in pod else {**pod, "apiVersion": "v1", "kind": "Pod"}
        self._events(regarding, note.type, note.reason, note.message, path)

    def _mount_failed(self, pod: Object, message: str) -> None:
        self.record(pod, Note("Warning", "FailedMount", message))

    def _short_of_disk(self, shortage: Shortage) -> None:
        self._events(self._node_reference(), "Warning", shortage.reason, shortage.message, "")

    def _node_reference(self) -> Object:
        # Events about nodes name the node where others name the uid, so that they are found by it.
        return {"kind": "Node", "apiVersion": "v1", "name": self.node.name, "uid": self.node.name}

    # decisions and look-ups

    def _admit(self, pod: Object, others: Sequence[Object]) -> tuple[str, str] | None:
        return admission.admit(pod, others, self.agent.allocatable())

    async def _handler(self, name: str) -> str:
        found = await self._client.get(RUNTIMECLASSES, name)
        return str(found["handler"])

    def _running_logs(self) -> Iterable[tuple[str, Path]]:
        for pod, name, attempt, container_id in self.pods_here.running():
            yield container_id, self.node.logs / pod_names.log_folder(pod) / log_path(name, attempt)

    # KubeletView

    @property
    def node_name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def runtime(self) -> Runtime:
        """The container runtime."""
        return self._runtime

    def pod(self, namespace: str, name: str) -> Object | None:
        """A pod of this node."""
        return self.pods_here.get(namespace, name)

    def pods(self) -> Sequence[Object]:
        """All pods of this node."""
        return self.pods_here.all()

    def configuration(self) -> Object:
        """The `KubeletConfiguration` in use."""
        node = self.node
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "port": node.port,
            "clusterDNS": list(node.cluster_dns),
            "clusterDomain": node.cluster_domain,
            "cgroupRoot": f"/{node.cgroup_root}",
            "cgroupDriver": "cgroupfs",
            "maxPods": node.max_pods,
            "nodeLeaseDurationSeconds": 40,
            "nodeStatusUpdateFrequency": "10s",
            "nodeStatusReportFrequency": "5m0s",
            "podLogsDir": str(node.logs),
        }

    @property
    def machine(self) -> Machine:
        """Where the figures of this node are read."""
        return Machine(self.node, self.agent.facts, self._host.cgroups, self._runtime)

    def unhealthy(self) -> str:
        """Why the kubelet is not healthy; empty when it is."""
        return self.agent.trouble


def _field_path(pod: Object, name: str) -> str:
    spec = pod["spec"]
    for key in ("containers", "initContainers", "ephemeralContainers"):
        if any(each["name"] == name for each in spec.get(key) or ()):
            return f"spec.{key}{{{name}}}"
    return ""
