"""Controllers and scheduler beside an API server: each leads by a Lease of its own, all share one set of watches.

When a Lease is lost, everything here ends and begins anew with fresh watches, as a process of Kubernetes would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from knarr.api.registry import LEASES
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.client.local import LocalTransport
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.http import UserInfo
from knarr.component_base.http_server import Handler
from knarr.component_base.metrics import Gauge, Registry
from knarr.component_base.tasks import Tasks
from knarr.controller.controllers import Settings as Settings
from knarr.controller.controllers import controllers
from knarr.controller_runtime.changes import EventNote
from knarr.controller_runtime.events import Recorder
from knarr.controller_runtime.informers import Informers
from knarr.controller_runtime.leader_election import CONTROLLER_MANAGER, SCHEDULER, LeaderElection, Terms
from knarr.controller_runtime.manager import Manager, Surroundings
from knarr.controller_runtime.names import RandomNames
from knarr.controller_runtime.queue_metrics import LEADING
from knarr.scheduler.run import Options, SchedulerRunner

_log = logs.get("control-plane")
_AUTHENTICATED = "system:authenticated"
_SERVICE_ACCOUNTS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", _AUTHENTICATED)


@dataclass(frozen=True, slots=True)
class _Office:
    """What is led by a Lease, and who competes for it."""

    lease: str
    client: Client
    recorder: Recorder

    def tell(self, lease: Object, message: str) -> None:
        """Note on a Lease who leads."""
        about = {**lease, "apiVersion": LEASES.api_version, "kind": LEASES.kind}
        self.recorder.record(EventNote(about, "Normal", "LeaderElection", message), self.lease)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What controllers and scheduler run on. `identity` names this server, the same after each start.

    Their metrics stand beside the API server's in `metrics` while they run.
    """

    handler: Handler
    clock: Clock
    settings: Settings
    identity: str
    metrics: Registry

    async def run(self) -> None:
        """Compete for both Leases and lead, until cancelled or until a Lease is lost."""
        manager_client = self.client_for("")
        scheduler_client = self._client("system:kube-scheduler", (_AUTHENTICATED,), "kube-scheduler")
        informers = Informers(manager_client, self.clock)
        recorder = Recorder(manager_client, self.clock)
        around = Surroundings(informers, self.client_for, self.clock, recorder, RandomNames())
        manager = Manager(around, controllers(self.settings))
        options = Options(f"default-scheduler-{self.identity}", all_pods=True)
        scheduler = SchedulerRunner(scheduler_client, informers, self.clock, options)
        informers.run()
        tasks = Tasks()
        leading = Gauge(LEADING)
        families = (leading, *manager.metrics(), *scheduler.scheduler.metrics.families())
        self.metrics.add(*families)
        try:
            tasks.forever(recorder.run, "events")
            offices = (
                (_Office(CONTROLLER_MANAGER, manager_client, recorder), manager.run),
                (_Office(SCHEDULER, scheduler_client, recorder), scheduler.run),
            )
            ends = [tasks.start(self._lead(office, lead, leading), office.lease) for office, lead in offices]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            _log.warning("a lease was lost: beginning anew")
        finally:
            await tasks.close()
            await recorder.flush()
            await informers.close()
            self.metrics.remove(*families)

    async def _lead(self, office: _Office, lead: Callable[[], Awaitable[None]], leading: Gauge) -> None:
        async def led() -> None:
            leading.set(1, (office.lease,))
            await lead()

        leading.set(0, (office.lease,))
        terms = Terms(office.lease, self.identity)
        await LeaderElection(office.client, self.clock, terms, led, office.tell).run()

    def client_for(self, account: str) -> Client:
        """A client that acts as a service account of `kube-system`; as kube-controller-manager for the empty name."""
        if not account:
            return self._client("system:kube-controller-manager", (_AUTHENTICATED,), CONTROLLER_MANAGER)
        return self._client(f"system:serviceaccount:kube-system:{account}", _SERVICE_ACCOUNTS, CONTROLLER_MANAGER)

    def _client(self, user: str, groups: tuple[str, ...], agent: str) -> Client:
        return Client(LocalTransport(self.handler, UserInfo(user, groups), agent))
