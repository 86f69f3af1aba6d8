"""Probes the running containers of one pod, each by its schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.cri.runtime import RuntimeService
from knarr.kubelet import probes
from knarr.kubelet.podworker.model import Note, ProbeChanged, Record
from knarr.kubelet.probe_actions import ActionError, Outcome, Target, act

_log = logs.get("kubelet.prober")
_TRIES = 3


class _Key(NamedTuple):
    container_id: str
    kind: str


class Prober:
    """One pod's probes. `post` gets verdicts, `tell` the events.

    `count(container, kind, result, seconds)` hears of every probe: `successful`, `failed` or `unknown`.
    """

    def __init__(
        self,
        runtime: RuntimeService,
        clock: Clock,
        post: Callable[[ProbeChanged], None],
        tell: Callable[[Note], None],
        count: Callable[[str, str, str, float], None],
    ) -> None:
        self._runtime, self._clock = runtime, clock
        self._post, self._tell, self._count = post, tell, count
        self._tasks = Tasks()
        self._running: dict[_Key, asyncio.Task[None]] = {}

    def sync(self, records: Iterable[Record], ip: str, *, ending: bool) -> None:
        """Probe what is to be probed now, and nothing else. An ending pod is asked for readiness only."""
        due: dict[_Key, Record] = {}
        for record in records:
            if record.running and record.container_id:
                for kind in probes.wanted(record.spec, started=record.started):
                    if not ending or kind == "readiness":
                        due[_Key(record.container_id, kind)] = record
        for key in [key for key in self._running if key not in due]:
            self._running.pop(key).cancel()
        for key, record in due.items():
            if key not in self._running:
                name = f"{key.kind} probe of {record.name}"
                self._running[key] = self._tasks.start(self._probe(key, record, ip), name)

    async def close(self) -> None:
        """End all probes."""
        self._running.clear()
        await self._tasks.close()

    async def _probe(self, key: _Key, record: Record, ip: str) -> None:
        spec = record.spec[f"{key.kind}Probe"]
        timing = probes.Timing.of(spec)
        tally = probes.Tally(key.kind, timing, verdict=_before(key.kind, record))
        age = (self._clock.now() - record.started_at).total_seconds() if record.started_at else 0.0
        await self._clock.sleep(timing.first_delay(age))
        while not tally.held:
            began = self._clock.monotonic()
            outcome = await self._try(spec, Target(record.spec, key.container_id, ip), timing, key.kind)
            result = "unknown" if outcome is None else "successful" if outcome.success else "failed"
            self._count(record.name, key.kind, result, self._clock.monotonic() - began)
            if outcome is not None:
                verdict = tally.take(success=outcome.success)
                if verdict is not None:
                    self._post(ProbeChanged(record.name, key.container_id, key.kind, verdict))
            await self._clock.sleep(max(timing.period - (self._clock.monotonic() - began), 0.0))

    async def _try(self, spec: Object, target: Target, timing: probes.Timing, kind: str) -> Outcome | None:
        """One probe; None when it could not be made."""
        name = target.container["name"]
        title = kind.capitalize()
        failure = ""
        for _ in range(_TRIES):
            try:
                outcome = await act(spec, target, timing.timeout, self._runtime)
            except ActionError as error:
                failure = str(error)
                continue
            if outcome.warning:
                self._tell(Note("Warning", "ProbeWarning", f"{title} probe warning: {outcome.message}", name))
            elif not outcome.success:
                self._tell(Note("Warning", "Unhealthy", f"{title} probe failed: {outcome.message}", name))
            return outcome
        text = f"{title} probe errored and resulted in unknown state: {failure}"
        self._tell(Note("Warning", "Unhealthy", text, name))
        return None


def _before(kind: str, record: Record) -> bool | None:
    """What counts until the first verdict: ready only if it was, alive until shown dead."""
    if kind == "readiness":
        return record.ready
    return True if kind == "liveness" else None
