"""Runs controllers: watch events wake keys, reconcilers decide, changes are carried out.

Nothing is polled and nothing is resynced: a key is worked on because something it depends on has changed, because it
asked to be looked at later, or because its last round failed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.metrics import Family
from knarr.component_base.tasks import Tasks
from knarr.controller_runtime import queue_metrics
from knarr.controller_runtime.changes import Context, Failure, Lookup, Names, Result
from knarr.controller_runtime.controller import Controller, Watch, key_of
from knarr.controller_runtime.custom_kinds import CustomKinds
from knarr.controller_runtime.executor import Executor, Recorder, Round
from knarr.controller_runtime.observing import Ended
from knarr.controller_runtime.overlay import Overlay
from knarr.controller_runtime.queue import WorkQueue
from knarr.controller_runtime.queue_metrics import QueueMetrics, State, WorkerMetrics
from knarr.controller_runtime.snapshot import Key, Snapshot

_log = logs.get("controllers")
#: Seconds after which answers that the watches have not shown are looked at; only while there are any.
_SWEEP = 5.0
#: Seconds of deciding after which a key rests for this many times as long, and for how long at most: what depends on
#: many objects changes often, and must not take all the time there is.
_LONG, _REST, _LONGEST_REST = 0.01, 5.0, 2.0
#: Live reads in a row after which a key goes back to the queue.
_MOST_READS = 8
#: Seconds by which an alarm may come early.
_JITTER = 0.001


class Informer(Protocol):
    """The watch of one resource."""

    @property
    def synced(self) -> asyncio.Event:
        """Set when the first list has been taken over."""
        ...

    @property
    def revision(self) -> int:
        """The revision the watch has reached."""
        ...

    def listen(self, callback: Callable[[Object | None, Object | None], None], /) -> None:
        """Call back with (old, new) on every change, and with (None, object) for what is there already."""
        ...


class Informers(Snapshot, Protocol):
    """The watches of a component."""

    def add(self, resource: Resource, /, *, metadata_only: bool = False) -> Informer:
        """The informer of a resource, all namespaces; the same one each time. `metadata_only`: nothing else is kept."""
        ...

    def remove(self, resource: Resource, /) -> None:
        """Follow a resource no more."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the manager reaches the world through.

    `client_for` gives a client that acts as a service account of `kube-system`, or, for the empty name, as
    kube-controller-manager itself.
    """

    informers: Informers
    client_for: Callable[[str], Client]
    clock: Clock
    recorder: Recorder
    names: Names


class Manager:
    """Runs any number of controllers over one set of watches."""

    def __init__(self, surroundings: Surroundings, controllers: Sequence[Controller]) -> None:
        self._surroundings = surroundings
        self._tasks = Tasks()
        informers = surroundings.informers
        self._watched = {watch.resource: informers.add(watch.resource) for c in controllers for watch in c.watches}
        self.overlay = Overlay(informers, self._revision)
        #: Whom changes of resources wake that came while the manager ran.
        self._late: dict[Resource, list[tuple[_Worker, Watch]]] = {}
        self._sightings = Sightings(surroundings.clock)
        self._metrics = QueueMetrics()
        shared = _Shared(surroundings, self.overlay, self._tasks, self._sightings, self._metrics)
        self.workers = [_Worker(controller, shared) for controller in controllers]
        self._sweeping = False

    def _revision(self, resource: Resource) -> int:
        """What the watch of a resource has reached; all of it for one that is watched no more."""
        informer = self._watched.get(resource)
        return informer.revision if informer is not None else sys.maxsize

    async def run(self) -> None:
        """Run the controllers until cancelled; an instance runs once. The watches belong to the caller."""
        try:
            await self.start()
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def start(self) -> None:
        """Begin when all watches have synced."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._watched.values()))
        definitions = self._watched.get(CUSTOMRESOURCEDEFINITIONS)
        followed = list(self._watched.items())
        if definitions is not None and any(worker.controller.dynamic for worker in self.workers):
            # Before anything is judged by the kinds there are.
            definitions.listen(CustomKinds(self._follow, self._forget).on_change)
        for resource, informer in followed:
            informer.listen(self._on_change(resource))
        for worker in self.workers:
            worker.start()

    def _follow(self, resource: Resource) -> None:
        """Let the controllers of every kind have a resource that is new."""
        informer = self._watched[resource] = self._surroundings.informers.add(resource, metadata_only=True)
        dynamic = [(worker, worker.controller.dynamic) for worker in self.workers]
        woken = [(worker, each.add(resource)) for worker, each in dynamic if each is not None]
        self._late[resource] = woken
        informer.listen(self._tell(resource, woken))

    def _forget(self, resource: Resource) -> None:
        for worker in self.workers:
            if worker.controller.dynamic is not None:
                worker.controller.dynamic.remove(resource)
        self._late.pop(resource, None)
        del self._watched[resource]
        self._surroundings.informers.remove(resource)

    def _woken_by(self, resource: Resource) -> list[tuple[_Worker, Watch]]:
        if resource in self._late:
            return self._late[resource]
        return [
            (worker, watch)
            for worker in self.workers
            for watch in worker.controller.watches
            if watch.resource is resource
        ]

    def _on_change(self, resource: Resource) -> Callable[[Object | None, Object | None], None]:
        return self._tell(resource, self._woken_by(resource))

    def _tell(
        self, resource: Resource, woken: Sequence[tuple[_Worker, Watch]]
    ) -> Callable[[Object | None, Object | None], None]:
        timed = any(watch.timed for _, watch in woken)

        def changed(old: Object | None, new: Object | None) -> None:
            if timed:
                self._sightings.note(resource, old, new)
            self.overlay.observed(resource, old, new)
            for worker, watch in woken:
                if worker.observer is not None:
                    worker.observer.changed(resource, old, new, self.overlay)
                worker.wake(watch, old, new)
            if len(self.overlay):
                self._sweep_later()

        return changed

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._tasks.start(self._sweep(), "controllers: answers the watches have passed")

    async def _sweep(self) -> None:
        while len(self.overlay):
            await self._surroundings.clock.sleep(_SWEEP)
            for key, obj in self.overlay.overtaken():
                if key.resource not in self._watched:
                    continue
                for worker, watch in self._woken_by(key.resource):
                    worker.wake(watch, obj, self._surroundings.informers.get(*key))
        self._sweeping = False

    def is_idle(self) -> bool:
        """Whether no key waits or is worked on; delayed ones may be left."""
        return all(worker.queue.is_idle() for worker in self.workers)

    def metrics(self) -> list[Family]:
        """What `/metrics` shows of the queues and of what controllers count themselves."""
        now = self._surroundings.clock.monotonic
        queues = queue_metrics.families(self._metrics, lambda: [worker.state(now()) for worker in self.workers])
        return queues + [each for worker in self.workers if worker.observer for each in worker.observer.families()]

    async def close(self) -> None:
        """Stop; what is under way is broken off, and nothing new is begun."""
        for worker in self.workers:
            worker.stop()
        await self._tasks.close()


class Sightings:
    """When the watches showed objects, by a clock that does not jump."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at: dict[Key, float] = {}

    def note(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """An object was shown, or is gone."""
        key = key_of(resource, new or old or {})
        if new is None:
            self._at.pop(key, None)
        else:
            self._at[key] = self._clock.monotonic()

    def seen(self, resource: Resource, namespace: str, name: str) -> datetime | None:
        """When an object was shown last, as the wall clock of now would call that moment."""
        at = self._at.get(Key(resource, namespace, name))
        return None if at is None else self._clock.now() - timedelta(seconds=self._clock.monotonic() - at)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all workers of a manager have in common."""

    surroundings: Surroundings
    overlay: Overlay
    tasks: Tasks
    sightings: Sightings
    metrics: QueueMetrics


class _Worker:
    """One controller at work."""

    def __init__(self, controller: Controller, shared: _Shared) -> None:
        surroundings, overlay = shared.surroundings, shared.overlay
        self.controller = controller
        self.queue: WorkQueue[Key] = WorkQueue()
        self.observer = controller.observer() if controller.observer is not None else None
        self.metrics = WorkerMetrics(shared.metrics, controller.queue or controller.label)
        self._overlay = overlay
        self._clock = surroundings.clock
        self._names = surroundings.names
        self._tasks = shared.tasks
        self._seen = shared.sightings.seen
        self._failures: dict[Key, Failure] = {}
        #: When each key that asked for a delay is due.
        self._promised: dict[Key, float] = {}
        self._recorder = surroundings.recorder
        self._executor = Executor(
            surroundings.client_for(controller.name),
            surroundings.client_for(""),
            overlay,
            surroundings.clock,
            surroundings.recorder,
            controller.component or controller.name,
        )
        self._started = False
        self._alarm = float("inf")

    def start(self) -> None:
        """Begin to work on what waits."""
        self._started = True
        self._pump()

    def stop(self) -> None:
        """Begin no more."""
        self._started = False

    def state(self, now: float) -> State:
        """The queue as `/metrics` shows it."""
        return State(self.controller.queue or self.controller.label, len(self.queue), self.metrics.unfinished(now))

    def wake(self, watch: Watch, old: Object | None, new: Object | None) -> None:
        """A watched object has changed."""
        now = self._clock.monotonic()
        for key in watch.keys(old, new, self._overlay):
            if self.queue.add(key, now):
                self.metrics.added()
        self._pump()

    def _pump(self) -> None:
        """Start as many rounds as may run at once, and see to it that delayed keys are taken in time."""
        if not self._started:
            return
        self.queue.take_due(self._clock.monotonic())
        now = self._clock.monotonic()
        while self.queue.working < self.controller.workers and (taken := self.queue.get(now)) is not None:
            key, since = taken
            self.metrics.began(key, self._clock.monotonic(), since)
            self._tasks.start(self._work(key), f"{self.controller.label} {key.namespace}/{key.name}")
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self.queue.due()
        if due is not None and due < self._alarm:
            self._alarm = due
            self._tasks.start(self._ring(due), f"{self.controller.label} alarm")

    async def _ring(self, due: float) -> None:
        await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
        if self._alarm == due:
            self._alarm = float("inf")
        self._pump()

    async def _work(self, key: Key) -> None:
        try:
            await self._rounds(key)
        except Exception as error:  # noqa: BLE001 - a reconciler's fault must not end the controller
            _log.error("reconcile failed", controller=self.controller.label, key=_shown(key), error=error)
            self._retry(key)
        finally:
            self.metrics.ended(key, self._clock.monotonic())
            self.queue.done(key)
            self._pump()

    async def _rounds(self, key: Key) -> None:
        """Reconcile a key, again with answers as long as it asks for live reads."""
        live: dict[Lookup, Object | None] = {}
        delayed = self._promised.get(key, float("inf")) <= self._clock.monotonic() + _JITTER
        failure = self._failures.pop(key, None)
        for _ in range(_MOST_READS):
            began = self._clock.monotonic()
            result = self._decide(key, live, failure, delayed=delayed)
            ended = await self._executor.carry_out(result.changes)
            self._observe(key, result, ended, began)
            if ended.hopeless:
                self.queue.forget(key)
                return
            if ended.failure is not None:
                self._failed(key, ended)
                return
            for note in result.events:
                self._recorder.record(note, self._executor.component)
            if not result.reads:
                self._succeeded(key, result, ended)
                return
            live = await self._read(key, result.reads)
            # Told until something is done about it: also with the answers that are asked for first.
            failure = None if result.changes else failure
        self._retry(key)

    def _observe(self, key: Key, result: Result, ended: Round, began: float) -> None:
        if self.observer is not None:
            failed, seconds = ended.failure is not None, self._clock.monotonic() - began
            self.observer.ended(Ended(key, result, failed, seconds, self._clock.now(), self._overlay))

    def _decide(self, key: Key, live: dict[Lookup, Object | None], failure: Failure | None, *, delayed: bool) -> Result:
        waiting = key in self._promised and not delayed
        context = Context(self._clock.now(), self._names, failure, delayed, self._seen, live, waiting)
        began = self._clock.monotonic()
        result = self.controller.reconcile(key, self._overlay, context)
        if (spent := self._clock.monotonic() - began) > _LONG:
            self.queue.rest(key, began + min(spent * _REST, _LONGEST_REST))
        if result.changes or result.reads:
            _log.debug(
                "reconciled",
                controller=self.controller.label,
                key=_shown(key),
                changes=len(result.changes),
                reads=len(result.reads),
            )
        return result

    async def _read(self, key: Key, reads: Sequence[Lookup]) -> dict[Lookup, Object | None]:
        try:
            return await self._executor.read(reads)
        except StatusError as error:
            raise RuntimeError(f"a live read for {_shown(key)} failed: {error.message}") from error

    def _failed(self, key: Key, ended: Round) -> None:
        if ended.failure is not None:
            self._failures[key] = ended.failure
            _log.debug(
                "round ended early",
                controller=self.controller.label,
                key=_shown(key),
                reason=ended.failure.reason or ended.failure.code,
                error=ended.failure.message,
            )
        self._retry(key)

    def _succeeded(self, key: Key, result: Result, ended: Round) -> None:
        self.queue.forget(key)
        now = self._clock.monotonic()
        if ended.again:
            self.queue.add(key, now)
        due = self._promised.pop(key, float("inf"))
        if result.requeue_after is not None:
            asked = now + result.requeue_after
            self._promised[key] = due if now < due < asked else asked
            self.queue.add_after(key, result.requeue_after, now)

    def _retry(self, key: Key) -> None:
        self.metrics.retried()
        self.queue.retry(key, self._clock.monotonic())


def _shown(key: Key) -> str:
    return f"{key.resource.plural} {key.namespace}/{key.name}" if key.namespace else f"{key.resource.plural} {key.name}"
