"""Leader election by a Lease: of several servers one runs the controllers (and one the scheduler).

The identity is stable: a server that is started again takes its own Lease back at once. A server that stops lets go
of it, so that another need not wait. Source: k8s.io/client-go/tools/leaderelection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from knarr.api.registry import LEASES
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks

_log = logs.get("leader-election")
CONTROLLER_MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose Lease, and the times of it in seconds.

    A leader that could not renew for `deadline` stops leading; others take over after `duration`.
    """

    name: str
    identity: str
    namespace: str = "kube-system"
    duration: float = 5.0
    deadline: float = 4.0
    renew_every: float = 1.0


class LeaderElection:
    """Competes for a Lease and calls `lead` while it is held. An instance leads once."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        terms: Terms,
        lead: Callable[[], Awaitable[None]],
        tell: Callable[[Object, str], None] = lambda lease, message: None,
    ) -> None:
        """`tell` takes what is to be noted of the Lease."""
        self._tell = tell
        self._client = client
        self._clock = clock
        self._terms = terms
        self._lead = lead
        self._tasks = Tasks()
        self._seen: Object | None = None
        self._seen_at = 0.0
        self.leading = asyncio.Event()

    async def run(self) -> None:
        """Compete, then lead until the Lease is lost or `lead` ends; when cancelled, let go of the Lease."""
        try:
            await self._acquire()
            await self._hold()
        finally:
            await self._tasks.close()
            if self.leading.is_set():
                self.leading.clear()
                await self._release()

    async def _acquire(self) -> None:
        while not await self._try():
            await self._clock.sleep(self._terms.renew_every)

    async def _hold(self) -> None:
        """Lead while the Lease can be renewed."""
        _log.info("leading", lease=self._terms.name, identity=self._terms.identity)
        self.leading.set()
        self._note_change("became leader")
        leading = self._tasks.start(self._run_lead(), f"leader of {self._terms.name}")
        renewed = self._clock.monotonic()
        while self._clock.monotonic() - renewed < self._terms.deadline and not leading.done():
            await self._clock.sleep(self._terms.renew_every)
            if await self._try():
                renewed = self._clock.monotonic()
            elif self._is_others():
                break
        _log.warning("no longer leading", lease=self._terms.name, identity=self._terms.identity)
        self.leading.clear()
        self._note_change("stopped leading")
        await self._tasks.close()

    def _note_change(self, what: str) -> None:
        if self._seen is not None:
            self._tell(self._seen, f"{self._terms.identity} {what}")

    async def _run_lead(self) -> None:
        await self._lead()

    async def _try(self) -> bool:
        """Take or renew the Lease; False when it is another's, or the server does not answer."""
        try:
            return await self._take()
        except (StatusError, ConnectionError, OSError) as error:
            _log.warning("lease not renewed", lease=self._terms.name, error=error)
            return False

    async def _take(self) -> bool:
        terms = self._terms
        if self._seen is not None and self._holder(self._seen) == terms.identity and self.leading.is_set():
            try:
                self._note(await self._client.update(LEASES, self._written(self._seen)))
                return True
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
        try:
            found = await self._client.get(LEASES, terms.name, terms.namespace)
        except StatusError as error:
            if error.code != 404:
                raise
            meta = {"name": terms.name, "namespace": terms.namespace}
            fresh: Object = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": {}}
            self._note(await self._client.create(LEASES, self._written(fresh), terms.namespace))
            return True
        return await self._take_over(found)

    async def _take_over(self, found: Object) -> bool:
        if self._seen is None or found.get("spec") != self._seen.get("spec"):
            self._note(found)
        holder = self._holder(found)
        waited = self._clock.monotonic() - self._seen_at
        lasts = float(found["spec"].get("leaseDurationSeconds") or self._terms.duration)
        if holder not in ("", self._terms.identity) and waited < lasts:
            return False
        self._note(await self._client.update(LEASES, self._written(found)))
        return True

    def _note(self, lease: Object) -> None:
        self._seen = lease
        self._seen_at = self._clock.monotonic()

    def _written(self, lease: Object) -> Object:
        spec = lease.get("spec") or {}
        now = timestamps.micro(self._clock.now())
        same = self._holder(lease) == self._terms.identity
        transitions = int(spec.get("leaseTransitions") or 0)
        written = {
            **spec,
            "holderIdentity": self._terms.identity,
            "leaseDurationSeconds": int(self._terms.duration),
            "acquireTime": spec.get("acquireTime", now) if same else now,
            "renewTime": now,
            "leaseTransitions": transitions if same or not spec else transitions + 1,
        }
        return {**lease, "spec": written}

    def _is_others(self) -> bool:
        return self._seen is not None and self._holder(self._seen) not in ("", self._terms.identity)

    @staticmethod
    def _holder(lease: Object) -> str:
        return str((lease.get("spec") or {}).get("holderIdentity") or "")

    async def _release(self) -> None:
        """Let go of the Lease: nobody holds it, for a second."""
        if self._seen is None or self._holder(self._seen) != self._terms.identity:
            return
        spec = {**self._seen["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        spec["renewTime"] = timestamps.micro(self._clock.now())
        try:
            await self._client.update(LEASES, {**self._seen, "spec": spec})
        except (StatusError, ConnectionError, OSError) as error:
            _log.warning("lease not released", lease=self._terms.name, error=error)
