"""kube-scheduler: wires the scheduler to watches and a client. Leader election wraps it from outside."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from knarr.api.registry import NAMESPACES, NODES, PODS, SERVICES, resource
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime.watches import Watched, Watches
from knarr.scheduler import profile
from knarr.scheduler.cycle import Settings
from knarr.scheduler.recorder import Recorder
from knarr.scheduler.scheduler import Scheduler, Surroundings
from knarr.scheduler.storage import WATCHED

#: Pods that have ended take no room and want no node.
PODS_AT_LARGE = "status.phase!=Succeeded,status.phase!=Failed"
#: What selects pods, for the default topology spreading.
_CONTROLLERS = (
    ("ReplicationController", resource("replicationcontrollers")),
    ("ReplicaSet", resource("replicasets", "apps")),
    ("StatefulSet", resource("statefulsets", "apps")),
)


def _pick(count: int) -> int:
    return random.randrange(count)


@dataclass(frozen=True, slots=True)
class Options:
    """`identity` is `scheduler name-host`, as Events report their instance; `all_pods` shares an unfiltered watch.

    In one process with the controllers, whose watch holds every pod anyway, a second watch would only cost memory.
    """

    identity: str
    profile: profile.Profile = profile.DEFAULT
    percentage: int = 0
    all_pods: bool = False
    pick: Callable[[int], int] = _pick


class SchedulerRunner:
    """One scheduler. `watches` belongs to the caller, who runs it; it may have synced already."""

    def __init__(self, client: Client, watches: Watches, clock: Clock, options: Options) -> None:
        self._options = options
        self._watches = watches
        self._tasks = Tasks()
        self._recorder = Recorder(client, clock, options.profile.scheduler_name, options.identity)
        surroundings = Surroundings(client, self._tasks, clock, self._recorder)
        self.scheduler = Scheduler(surroundings, Settings(options.profile, options.pick, options.percentage))
        self._running: list[asyncio.Task[Any]] = []

    async def run(self) -> None:
        """Watch and schedule, until cancelled; an instance runs once."""
        await self.start()
        try:
            await asyncio.gather(*self._running)
        finally:
            await self.close()

    async def start(self) -> None:
        """Take over what is there, then begin to schedule."""
        scheduler, watches = self.scheduler, self._watches
        pods = watches.add(PODS) if self._options.all_pods else watches.add(PODS, field_selector=PODS_AT_LARGE)
        # Nodes and running pods come before waiting ones: a cycle must never see half the cluster.
        first: list[tuple[Watched, Callable[[Object | None, Object | None], None]]] = [
            (watches.add(NODES), scheduler.on_node),
            (watches.add(NAMESPACES), scheduler.on_namespace),
            (watches.add(SERVICES), partial(scheduler.on_workload, "Service")),
            *((watches.add(one), partial(scheduler.on_workload, kind)) for kind, one in _CONTROLLERS),
            *((watches.add(one), partial(scheduler.on_storage, one)) for one in WATCHED),
            (pods, scheduler.on_pod),
        ]
        await asyncio.gather(*(watched.synced.wait() for watched, _ in first))
        for watched, callback in first:
            watched.listen(callback)
        self._tasks.forever(self._recorder.run, "scheduler events")
        self._running = [self._tasks.start(scheduler.run(), "scheduler")]

    async def close(self) -> None:
        """Stop; what is under way is broken off. A pod whose binding was not answered is looked at by the next one."""
        await self._tasks.close()
        await self._recorder.flush()
