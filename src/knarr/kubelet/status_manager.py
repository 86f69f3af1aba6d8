"""Tells the API server the pods' statuses: the newest one of each pod, one write at a time, nothing twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from knarr.api.registry import PODS
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.kubelet.status_patch import status_patch

_log = logs.get("kubelet.status")
#: Seconds between tries of a failed write.
_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
#: Seconds that a pending pod's status waits for a better one: a quick start is told in fewer writes.
_SETTLE = 0.2


@dataclass(slots=True, eq=False)
class _Entry:
    """One pod: what it is, what is known, what the server has."""

    pod: Object
    status: Object
    written: Object
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[None] | None = None


class StatusManager:
    """One node's writer of statuses."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._entries: dict[str, _Entry] = {}
        self._tasks = Tasks()

    def report(self, pod: Object, status: Object) -> None:
        """The pod's status as it is now."""
        uid = pod["metadata"]["uid"]
        entry = self._entries.get(uid)
        if entry is None:
            entry = self._entries[uid] = _Entry(pod, status, dict(pod.get("status") or {}))
        entry.pod, entry.status = pod, status
        if status_patch(uid, entry.written, status) is None:
            return
        if status.get("phase") != "Pending":
            entry.urgent.set()
        if entry.task is None or entry.task.done():
            entry.task = self._tasks.start(self._write(entry), f"status of {pod['metadata']['name']}")

    async def delete(self, pod: Object, status: Object) -> None:
        """Write the final status, then delete the pod for good. Raises `StatusError` and `ConnectionError`."""
        meta = pod["metadata"]
        self.report(pod, status)
        entry = self._entries[meta["uid"]]
        await self._write_once(entry)
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        try:
            await self._client.delete(PODS, meta["name"], meta["namespace"], options)
        except StatusError as error:
            if error.code not in (404, 409):
                raise
        _log.info("pod deleted", pod=f"{meta['namespace']}/{meta['name']}")

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        entry = self._entries.pop(uid, None)
        if entry is not None and entry.task is not None:
            entry.task.cancel()

    async def flush(self) -> None:
        """Wait until all that is known is written."""
        while pending := [each.task for each in self._entries.values() if each.task and not each.task.done()]:
            for entry in self._entries.values():
                entry.urgent.set()
            await asyncio.wait(pending)

    async def close(self) -> None:
        """Stop writing."""
        await self._tasks.close()

    async def _write(self, entry: _Entry) -> None:
        pause = _PAUSE
        while self._pending(entry):
            if not entry.urgent.is_set():
                await self._settle(entry)
            entry.urgent.clear()
            try:
                await self._write_once(entry)
                pause = _PAUSE
            except (StatusError, ConnectionError) as error:
                _log.warning("status not written", pod=entry.pod["metadata"]["name"], error=error)
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _pending(self, entry: _Entry) -> bool:
        return status_patch(entry.pod["metadata"]["uid"], entry.written, entry.status) is not None

    async def _settle(self, entry: _Entry) -> None:
        urgent = asyncio.ensure_future(entry.urgent.wait())
        late = asyncio.ensure_future(self._clock.sleep(_SETTLE))
        try:
            await asyncio.wait({urgent, late}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            urgent.cancel()
            late.cancel()
            await asyncio.gather(urgent, late, return_exceptions=True)

    async def _write_once(self, entry: _Entry) -> None:
        """One write, if there is anything to say; a pod that is gone, or another by now, has all it needs."""
        async with entry.lock:
            meta, status = entry.pod["metadata"], entry.status
            patch = status_patch(meta["uid"], entry.written, status)
            if patch is None:
                return
            try:
                answer = await self._client.patch(PODS, meta["name"], patch, meta["namespace"], subresource="status")
            except StatusError as error:
                if error.code not in (404, 409):
                    raise
                entry.written = status
                return
            # Not the answer's status: others own parts of it, and the server may write a value in another way.
            entry.written = {**(answer.get("status") or {}), **status}
