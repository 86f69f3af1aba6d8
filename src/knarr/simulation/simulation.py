"""One simulation: makes its nodes, follows nodes and pods, plays their stages, adds load, and clears up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from knarr.api.registry import DEPLOYMENTS, LEASES, NAMESPACES, NODES, PODS, SERVICEACCOUNTS
from knarr.api.resources import Resource
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.reflector import Reflector, Selection
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.changes import EventNote
from knarr.controller_runtime.events import Recorder
from knarr.simulation import nodes
from knarr.simulation.addresses import NodeAddresses
from knarr.simulation.counts import Counts, node_state, pod_state
from knarr.simulation.heartbeats import Heartbeats
from knarr.simulation.kubelets import Host, Kubelets
from knarr.simulation.load import Load
from knarr.simulation.player import Player
from knarr.simulation.stages import Stage

_Item = TypeVar("_Item")
#: Requests of a simulation under way at once, for pods, for nodes, and for its load.
_POD_WORKERS, _NODE_WORKERS, _MAKERS = 24, 8, 16
#: How often a failed request is tried again while things are made or cleared away, and the seconds between.
_TRIES, _PAUSE = 10, 1.0
#: Seconds between two looks at whether something has come about.
_LOOK = 0.05
_COMPONENT = "kubelet"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated."""

    shape: nodes.Shape
    count: int
    stages: tuple[Stage, ...]
    heartbeat: float = 10.0
    seed: str = ""


class Simulation:
    """Plays a plan on the cluster that `client` reaches. Counts stand in `nodes` and `pods`."""

    def __init__(self, plan: Plan, client: Client, clock: Clock) -> None:
        self._plan, self._client, self._clock = plan, client, clock
        self._tasks = Tasks()
        self._recorder = Recorder(client, clock)
        self._kubelets = Kubelets(client, clock, self._tell)
        self.heartbeats = Heartbeats(client, clock, plan.shape, plan.heartbeat)
        stages = plan.stages
        self._pods = Player([s for s in stages if s.kind == "Pod"], self._kubelets.play_pod, clock, plan.seed)
        self._nodes = Player([s for s in stages if s.kind == "Node"], self._kubelets.play_node, clock, plan.seed)
        self.pods, self.nodes = Counts(), Counts()
        self.made = 0

    @property
    def refused(self) -> int:
        """Requests that the API server refused for good."""
        return self._pods.refused + self._nodes.refused

    async def make_nodes(self) -> None:
        """Create the nodes, each with its lease; those that are there already are taken over."""
        version = (await self._client.document("/version"))["gitVersion"]
        shape = self._plan.shape

        async def make(index: int) -> None:
            name, now = shape.node_name(index), timestamps.seconds(self._clock.now())
            host = Host(name, nodes.host_address(index), NodeAddresses(shape.range_of(index)))
            self._kubelets.hosts[name] = host
            # The node controller must find a fresh lease beside the node.
            await self.heartbeats.renew(host)
            await self._create(NODES, nodes.node(shape, index, version, now))

        await _each(range(self._plan.count), make)

    def start(self) -> None:
        """Follow and play, until `close`."""
        forever = self._tasks.forever
        forever(self._recorder.run, "events")
        for player, workers in ((self._pods, _POD_WORKERS), (self._nodes, _NODE_WORKERS)):
            forever(player.keep_time, "time of stages")
            for number in range(workers):
                forever(player.work, f"worker {number}")
        hosts = list(self._kubelets.hosts.values())
        forever(lambda: self.heartbeats.run(hosts), "heartbeats")
        own = Selection(NODES, label_selector=self._selector)
        forever(Reflector(self._client, own, self._followed_nodes(), self._clock).run, "nodes")
        forever(Reflector(self._client, Selection(PODS), self._followed_pods(), self._clock).run, "pods")

    def _followed_nodes(self) -> _Followed:
        """Nodes go to their player, and are counted."""

        def see(node: Object) -> None:
            self.nodes.seen(node["metadata"]["uid"], node_state(node))
            self._nodes.see(node)

        def gone(uid: str) -> None:
            self._nodes.forget(uid)
            self.nodes.gone(uid)

        def keep(uids: set[str]) -> None:
            self._nodes.keep(uids)
            self.nodes.keep(uids)

        return _Followed(see, gone, keep)

    def _followed_pods(self) -> _Followed:
        """Pods of simulated nodes go to their player; these, and those that are nowhere yet, are counted."""

        def see(pod: Object) -> None:
            host = self._kubelets.host_of(pod)
            if host is None and pod["spec"].get("nodeName"):
                return
            self.pods.seen(pod["metadata"]["uid"], pod_state(pod))
            if host is not None:
                self._kubelets.saw_pod(pod, host)
                self._pods.see(pod)

        def gone(uid: str) -> None:
            self._pods.forget(uid)
            self._kubelets.pod_gone(uid)
            self.pods.gone(uid)

        def keep(uids: set[str]) -> None:
            self._pods.keep(uids)
            self._kubelets.keep(uids)
            self.pods.keep(uids)

        return _Followed(see, gone, keep)

    async def add(self, load: Load) -> None:
        """Create the load, in its namespace, which is made if it is not there."""
        await self._create(NAMESPACES, {"metadata": {"name": load.namespace, "labels": {nodes.LABEL: load.name}}})
        await self._until_namespace_serves(load.namespace)
        resource = DEPLOYMENTS if load.deployments else PODS

        async def make(obj: Object) -> None:
            await self._create(resource, obj, load.namespace)
            self.made += 1

        await _each(load.objects(), make)

    async def _until_namespace_serves(self, namespace: str) -> None:
        """Wait for the service account without which no pod is admitted; a controller makes it."""
        while True:
            try:
                await self._client.get(SERVICEACCOUNTS, "default", namespace)
                return
            except StatusError as error:
                if error.code != 404:
                    raise
            await self._clock.sleep(_LOOK)

    async def until_up(self, load: Load) -> None:
        """Wait until the nodes are ready and each pod of the load is ready or has ended."""
        while not self._is_up(load):
            await self._clock.sleep(_LOOK)

    def _is_up(self, load: Load) -> bool:
        settled = sum(self.pods.by_state[state] for state in ("Ready", "Succeeded", "Failed"))
        return self.nodes.by_state["Ready"] >= self._plan.count and settled >= load.pods

    async def clear(self, load: Load) -> None:
        """Delete what was made: the load, then the nodes and their leases. Ends with nothing played any more."""
        if load.pods:
            await self._delete_all(DEPLOYMENTS, load.namespace)
            # Without grace: stages of somebody's own need not know how a pod ends.
            while await self._has_pods(load):
                await self._delete_all(PODS, load.namespace, gracePeriodSeconds="0")
                await self._clock.sleep(_LOOK)
            await self._patiently(lambda: self._client.delete(NAMESPACES, load.namespace))
        await self._delete_all(NODES)
        # Before the leases go: a heartbeat would bring one back.
        await self.close()
        await self._delete_all(LEASES, nodes.LEASES)

    async def close(self) -> None:
        """Stop playing."""
        await self._tasks.close()

    @property
    def _selector(self) -> str:
        return f"{nodes.LABEL}={self._plan.shape.name}"

    async def _create(self, resource: Resource, obj: Object, namespace: str = "") -> None:
        await self._patiently(lambda: self._client.create(resource, obj, namespace))

    async def _has_pods(self, load: Load) -> bool:
        try:
            found = await self._client.list(PODS, load.namespace, labelSelector=self._selector, limit="1")
        except ConnectionError:
            return True
        return bool(found["items"])

    async def _delete_all(self, resource: Resource, namespace: str = "", **more: str) -> None:
        options = {"labelSelector": self._selector, **more}
        await self._patiently(lambda: self._client.delete_collection(resource, namespace, **options))

    async def _patiently(self, request: Callable[[], Awaitable[Object]]) -> None:
        """Have it done: what is there already or gone already is; what fails by no fault of ours is tried again."""
        for tries_left in reversed(range(_TRIES)):
            try:
                await request()
                return
            except StatusError as error:
                if error.code in (404, 409):
                    return
                if not tries_left or not (error.code == 429 or error.code >= 500):
                    raise
            except ConnectionError:
                if not tries_left:
                    raise
            await self._clock.sleep(_PAUSE)

    def _tell(self, obj: Object, event_type: str, reason: str, message: str) -> None:
        self._recorder.record(EventNote(obj, event_type, reason, message), _COMPONENT)


@dataclass(frozen=True, slots=True)
class _Followed:
    """Hands on what a reflector shows: an object was seen, one is gone, only these uids are left."""

    see: Callable[[Object], None]
    gone: Callable[[str], None]
    keep: Callable[[set[str]], None]

    def replace(self, objects: Sequence[Object], revision: int) -> None:
        """See `Sink`."""
        del revision
        self.keep({obj["metadata"]["uid"] for obj in objects})
        for obj in objects:
            self.see(obj)

    def apply(self, kind: str, obj: Object, revision: int) -> None:
        """See `Sink`."""
        del revision
        if kind == "DELETED":
            self.gone(obj["metadata"]["uid"])
        else:
            self.see(obj)

    def reached(self, revision: int) -> None:
        """See `Sink`."""

    def failed(self, error: Exception) -> None:
        """See `Sink`. The reflector has logged it and goes on."""


async def _each(items: Iterable[_Item], do: Callable[[_Item], Awaitable[None]]) -> None:
    """Do something with each, several at a time, in order of their beginning. The first failure ends it."""
    waiting = iter(items)

    async def work() -> None:
        for item in waiting:
            await do(item)

    workers = [asyncio.ensure_future(work()) for _ in range(_MAKERS)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
