"""Carries out what was planned for a pod's claims, and waits until they are bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from knarr.api.registry import PVCS, PVS
from knarr.client.client import Client
from knarr.component_base.clock import Clock
from knarr.scheduler import volumes
from knarr.scheduler.node_info import NodeInfo
from knarr.scheduler.storage import Storage
from knarr.scheduler.volumes import Plan

#: Seconds until a pod whose claims are not bound is given up and tried anew.
_PATIENCE = 600.0


class VolumeBinder:
    """Writes claims and volumes. `changed` is to be called when the storage shows something new."""

    def __init__(self, client: Client, storage: Storage, clock: Clock) -> None:
        self._client, self._storage, self._clock = client, storage, clock
        self._waiters: set[asyncio.Event] = set()

    def changed(self) -> None:
        """Let those who wait look again."""
        for waiter in self._waiters:
            waiter.set()

    def assume(self, plan: Plan) -> None:
        """Show the plan to the cycles that follow."""
        self._storage.assume(PVCS, plan.claims)
        self._storage.assume(PVS, plan.volumes)

    def give_up(self, plan: Plan) -> None:
        """Show it no more."""
        self._storage.give_up(PVCS, plan.claims)
        self._storage.give_up(PVS, plan.volumes)

    async def bind(self, plan: Plan, node: Callable[[str], NodeInfo | None]) -> None:
        """Write the plan and wait. Raises `UnusableClaim`, `StatusError`, `ConnectionError`, `TimeoutError`.

        After a failure anything may have been written: the next cycle sees it and goes on from there.
        """
        for volume in plan.volumes:
            await self._client.update(PVS, volume)
        for claim in plan.claims:
            await self._client.update(PVCS, claim)
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            await self._wait(plan, node, waiter)
        finally:
            self._waiters.discard(waiter)

    async def _wait(self, plan: Plan, node: Callable[[str], NodeInfo | None], waiter: asyncio.Event) -> None:
        ends = self._clock.monotonic() + _PATIENCE
        while volumes.unmet(plan, self._storage, node(plan.node_name)):
            waiter.clear()
            await self._until(waiter, ends)

    async def _until(self, waiter: asyncio.Event, ends: float) -> None:
        late = asyncio.ensure_future(self._clock.sleep(max(ends - self._clock.monotonic(), 0.0)))
        woken = asyncio.ensure_future(waiter.wait())
        try:
            await asyncio.wait({late, woken}, return_when=asyncio.FIRST_COMPLETED)
            if late.done() and not woken.done():
                raise TimeoutError("binding volumes: context deadline exceeded")
        finally:
            late.cancel()
            woken.cancel()
            await asyncio.gather(late, woken, return_exceptions=True)
