"""Records core/v1 Events as client-go does: taken at once, written in the background, repetitions counted."""

from __future__ import annotations

import asyncio
import re
import uuid

from knarr.api.registry import EVENTS
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import STRATEGIC_MERGE_PATCH, Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.controller_runtime.changes import EventNote
from knarr.controller_runtime.correlation import Correlator, Write

#: Events that wait to be written; more are dropped.
_MOST_WAITING = 1000
#: How often a lost write is tried again, and the seconds between.
_TRIES, _PAUSE = 12, 10.0
_LONGEST_NAME = 253
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_log = logs.get("events")


def reference(obj: Object, field_path: str = "") -> Object:
    """The `ObjectReference` to an object (or to the part at `field_path`); a reference stays as it is."""
    meta = obj.get("metadata")
    found = obj if meta is None else {**meta, "kind": obj.get("kind"), "apiVersion": obj.get("apiVersion")}
    names = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    out = {name: found[name] for name in names if found.get(name)}
    if field_path:
        out["fieldPath"] = field_path
    return out


def container_path(container: str, kind: str = "containers") -> str:
    """The field path of a pod's container: `spec.containers{web}`; `kind` may be `initContainers` and so on."""
    return f"spec.{kind}{{{container}}}"


class Recorder:
    """Takes events of one process. `host` is the node's name where events come from a node."""

    def __init__(self, client: Client, clock: Clock, host: str = "") -> None:
        self._client = client
        self._clock = clock
        self._host = host
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(_MOST_WAITING)
        self._correlator = Correlator(self._name)
        self._last_stamp = 0
        #: What was being written when `run` was ended; its answer is unknown.
        self._broken_off: Write | None = None
        #: Events that were not written: too many waited, or the source had used up its budget.
        self.dropped = 0

    def record(self, note: EventNote, component: str, *, field_path: str = "") -> None:
        """Take an event of a component about an object, or about the part of it at `field_path`."""
        try:
            self._waiting.put_nowait(self._event(note, component, field_path))
        except asyncio.QueueFull:
            self.dropped += 1
            _log.warning("event dropped: too many wait", reason=note.reason)

    async def run(self) -> None:
        """Write events, forever."""
        while True:
            event = await self._waiting.get()
            write = self._correlator.correlate(event, self._clock.monotonic())
            if write is None:
                self.dropped += 1
                continue
            try:
                await self._write(write)
            except asyncio.CancelledError:
                self._broken_off = write
                raise

    async def flush(self, patience: float = 2.0) -> None:
        """Write what waits, once each, before the end: when `run` has ended. Gives up after `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                if self._broken_off is not None:
                    await self._attempt(self._broken_off)
                while not self._waiting.empty():
                    write = self._correlator.correlate(self._waiting.get_nowait(), self._clock.monotonic())
                    if write is not None:
                        await self._attempt(write)
        except TimeoutError:
            _log.warning("events left unwritten", count=self._waiting.qsize() + 1)

    async def _write(self, write: Write) -> None:
        for _ in range(_TRIES):
            if await self._attempt(write):
                return
            await self._clock.sleep(_PAUSE)
        self._correlator.lost(write)
        _log.warning("event not written", reason=write.event["reason"], name=write.event["metadata"]["name"])

    async def _attempt(self, write: Write) -> bool:
        """Try to write; False if it may be tried again."""
        try:
            await self._send(write)
        except ConnectionError as error:
            _log.debug("event not written yet", reason=write.event["reason"], error=error)
            return False
        except StatusError as error:
            # The server has decided; `AlreadyExists` is our own earlier try, whose answer was lost.
            if error.reason != "AlreadyExists" and not _is_ending(error):
                self._correlator.lost(write)
                _log.warning("event refused", reason=write.event["reason"], error=error)
        return True

    async def _send(self, write: Write) -> None:
        meta = write.event["metadata"]
        if write.patch is not None:
            try:
                await self._client.patch(
                    EVENTS, meta["name"], write.patch, meta["namespace"], content_type=STRATEGIC_MERGE_PATCH
                )
                return
            except StatusError as error:
                # It has expired meanwhile.
                if error.code != 404:
                    raise
        await self._client.create(EVENTS, write.event, meta["namespace"])

    def _event(self, note: EventNote, component: str, field_path: str) -> Object:
        about = reference(note.regarding, field_path)
        now = timestamps.seconds(self._clock.now())
        source = {"component": component, **({"host": self._host} if self._host else {})}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": self._name(about), "namespace": about.get("namespace") or "default"},
            "involvedObject": about,
            "reason": note.reason,
            "message": note.message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": note.type,
            "reportingComponent": component,
            "reportingInstance": self._host,
        }

    def _name(self, about: Object) -> str:
        """`object.hex`, from the nanoseconds of the moment; no two are the same."""
        self._last_stamp = max(int(self._clock.now().timestamp() * 1e6) * 1000, self._last_stamp + 1)
        name = f"{about.get('name', '')}.{self._last_stamp:x}"
        return name if len(name) <= _LONGEST_NAME and _SUBDOMAIN.fullmatch(name) else str(uuid.uuid4())


def _is_ending(error: StatusError) -> bool:
    """Whether the namespace is being deleted."""
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
