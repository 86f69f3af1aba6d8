"""Renews the leases of simulated nodes, spread evenly over the interval."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from knarr.api.registry import LEASES
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.client.client import MERGE_PATCH, Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.simulation import nodes
from knarr.simulation.kubelets import Host

#: Into how many steps an interval is divided, at most.
_STEPS = 50
#: Renewals under way at once.
_AT_ONCE = 8
_log = logs.get("heartbeats")


class Heartbeats:
    """The leases of the nodes in `hosts`, each renewed every `interval` seconds unless its node is silent."""

    def __init__(self, client: Client, clock: Clock, shape: nodes.Shape, interval: float) -> None:
        self._client, self._clock, self._shape, self._interval = client, clock, shape, interval
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        #: When the last round took longer than the interval allows, by how many seconds.
        self.late = 0.0

    async def run(self, hosts: Sequence[Host]) -> None:
        """Renew, forever."""
        steps = min(_STEPS, max(len(hosts), 1))
        while True:
            for step in range(steps):
                began = self._clock.monotonic()
                await asyncio.gather(*(self.renew(host) for host in hosts[step::steps]))
                left = self._interval / steps - (self._clock.monotonic() - began)
                self.late = max(0.0, -left * steps)
                await self._clock.sleep(max(left, 0.0))

    async def renew(self, host: Host) -> None:
        """Renew one lease, or create it. A failure waits for the next time, as a kubelet's does."""
        if host.silent_until > self._clock.monotonic():
            return
        async with self._at_once:
            now = timestamps.micro(self._clock.now())
            try:
                await self._renew(host.name, now)
            except (StatusError, ConnectionError) as error:
                _log.warning("lease not renewed", node=host.name, error=error)

    async def _renew(self, name: str, now: str) -> None:
        patch = {"spec": {"renewTime": now}}
        try:
            await self._client.patch(LEASES, name, patch, nodes.LEASES, content_type=MERGE_PATCH)
        except StatusError as error:
            if error.code != 404:
                raise
            await self._client.create(LEASES, nodes.lease(self._shape, name, now), nodes.LEASES)
