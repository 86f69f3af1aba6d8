"""Carries out what the pod worker of one pod orders, and feeds the results back to it.

Every instruction runs in a task of its own; its answer is posted as an event, and whatever goes wrong on the way
becomes the failure that the worker expects. What has none (stopping, removing) is tried until it succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.component_base import logs
from knarr.component_base.tasks import Tasks
from knarr.cri.messages import SandboxState
from knarr.cri.runtime import NOT_FOUND, CriError
from knarr.kubelet.host import Host
from knarr.kubelet.images import ImageFault
from knarr.kubelet.pod_names import HostnameTooLong
from knarr.kubelet.pod_runtime import PodRuntime, StartFault
from knarr.kubelet.podworker import model
from knarr.kubelet.podworker.model import Event, Instruction, Moment, Note, Seen
from knarr.kubelet.podworker.worker import PodWorker
from knarr.kubelet.prober import Prober
from knarr.kubelet.sandbox_config import SandboxFault
from knarr.kubelet.volumes.manager import MountFailure
from knarr.wire.messages import Message

_log = logs.get("kubelet.executor")
#: Seconds between tries of what must succeed: the first time, and at most.
_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
#: After an end was announced, how long and how often the runtime is asked until it knows it too.
_SETTLE, _SETTLE_TRIES = 0.05, 40


class Reports(Protocol):
    """Where statuses go (`status_manager.StatusManager`)."""

    def report(self, pod: Object, status: Object) -> None:
        """The pod's status as it is now."""
        ...

    async def delete(self, pod: Object, status: Object) -> None:
        """Write the final status, then delete the pod for good."""
        ...

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        ...


class PodExecutor:
    """One pod. `purged(uid)` is called when nothing of it is left."""

    def __init__(self, pod: Object, host: Host, reports: Reports, purged: Callable[[str], None]) -> None:
        self.worker = PodWorker(pod, host.node.host_ips)
        self.uid = self.worker.uid
        self._host, self._reports, self._purged = host, reports, purged
        self._runtime = PodRuntime(host, self.uid, self._tell)
        self._prober = Prober(host.runtime, host.clock, self.post, self._tell, self._probed)
        self._tasks = Tasks()
        self._work: asyncio.Task[None] | None = None
        self._deleting: asyncio.Task[None] | None = None
        self._wake: asyncio.Task[None] | None = None
        self._wake_at = 0.0
        self._gone = False
        #: Nothing is decided before it is known what ran already.
        self._begun = False
        self._early: list[Event] = []
        #: Why the node does not take the pod: (reason, message).
        self.rejection: tuple[str, str] | None = None
        #: The status last made: what the kubelet's own API shows.
        self.status: Object = dict(pod.get("status") or {})
        self._seen = host.clock.monotonic()

    @property
    def pod(self) -> Object:
        """The pod with its newest status."""
        return {**self.worker.pod, "status": self.status}

    def post(self, event: Event) -> None:
        """Take one event: the worker decides, what it orders begins."""
        if self._gone:
            return
        if not self._begun:
            if not isinstance(event, model.Adopted | model.Rejected):
                self._early.append(event)
                return
            self._begun = True
        self._take(event)
        while self._early:
            self._take(self._early.pop(0))

    def _take(self, event: Event) -> None:
        now = self._now()
        orders = self.worker.handle(event, now)
        before, self.status = self.status.get("phase"), self.worker.status(now)
        if self.status.get("phase") == "Running" != before:
            self._host.metrics.pod_started(self.worker.pod, now.wall, now.mono - self._seen)
        for order in orders:
            self._begin(order)
        ip = self.worker.ips[0] if self.worker.ips else ""
        self._prober.sync(self.worker.records.values(), ip, ending=bool(self.worker.ending))
        self._reports.report(self.worker.pod, self.status)

    async def close(self) -> None:
        """Let go of the pod; its containers keep running."""
        self._gone = True
        await self._prober.close()
        await self._tasks.close()

    def exited(self, name: str, container_id: str) -> None:
        """The runtime says that a container has ended."""
        if name in self.worker.records:
            self._tasks.start(self._settle(name, container_id), f"look at {container_id[:12]}")

    async def look(self) -> None:
        """Compare with the runtime: after it was away, or when events may have been lost. Raises `CriError`."""
        for record in list(self.worker.records.values()):
            if record.running:
                await self._look(record.name, record.container_id)

    async def adopted(self, sandboxes: Sequence[Message], containers: Sequence[Message]) -> model.Adopted:
        """What the runtime has of this pod (newest first), as the worker's first event. Raises `CriError`."""
        sandbox_id, attempt = "", -1
        ips: tuple[str, ...] = ()
        if sandboxes:
            newest = sandboxes[0]
            attempt = int(newest["metadata"]["attempt"])
            if newest["state"] == SandboxState.READY:
                sandbox_id = str(newest["id"])
                ips = self._runtime.ips(self.worker.pod, await self._host.runtime.sandbox_status(sandbox_id))
        found: dict[str, tuple[Seen, ...]] = {}
        for each in containers:
            name = str(each["metadata"]["name"])
            if name in self.worker.records:
                found[name] = (
                    *found.get(name, ()),
                    await self._runtime.look(self.worker.pod, self._spec(name), each["id"]),
                )
        return model.Adopted(sandbox_id, attempt, ips, found)

    # one instruction

    def _begin(self, order: Instruction) -> None:
        match order:
            case Note():
                self._tell(order)
            case model.Wake(at):
                self._wake_up(at)
            case model.CancelWork():
                if self._work is not None:
                    self._work.cancel()
            case model.Prepare() | model.RunSandbox() | model.Pull() | model.Start():
                self._work = self._tasks.start(self._guarded(order), f"{type(order).__name__} of {self._name}")
                self._work.add_done_callback(lambda work: self._given_up(order, work))
            case _:
                self._tasks.start(self._finish(order), f"{type(order).__name__} of {self._name}")

    async def _guarded(self, order: Instruction) -> None:
        """Answer in any case: a worker that hears nothing waits for ever."""
        try:
            event = await self._carry_out(order)
        except Exception as error:  # noqa: BLE001 - supervises one pod's work
            _log.error("step failed", pod=self._name, step=type(order).__name__, error=error)
            event = _failure(order, str(error))
        self.post(event)

    def _given_up(self, order: Instruction, work: asyncio.Task[None]) -> None:
        """Work that was cancelled is answered here: it may have been cancelled before its first step."""
        if work.cancelled() and self.worker.cancelled:
            self.post(_failure(order, "cancelled"))

    async def _carry_out(self, order: Instruction) -> Event:
        match order:
            case model.Prepare():
                return await self._prepare()
            case model.RunSandbox(attempt):
                try:
                    return model.SandboxStarted(*await self._runtime.run_sandbox(self.worker.pod, attempt))
                except (CriError, HostnameTooLong, SandboxFault, StatusError) as error:
                    return model.SandboxFailed(str(error))
            case model.Pull(name):
                try:
                    return model.ImageReady(name, await self._runtime.pull(self.worker.pod, self._spec(name)))
                except ImageFault as fault:
                    return model.ImageFailed(name, fault.reason, fault.message)
            case model.Start():
                return await self._start(order)
        raise TypeError(order)

    async def _prepare(self) -> Event:
        try:
            await self._runtime.prepare(self.worker.pod)
        except MountFailure as failure:
            for message in failure.messages:
                self._tell(Note("Warning", "FailedMount", message))
            return model.PrepareFailed(str(failure))
        except OSError as error:
            self._tell(Note("Warning", "FailedCreatePodContainer", f"unable to ensure pod container exists: {error}"))
            return model.PrepareFailed(str(error))
        return model.Prepared()

    async def _start(self, order: model.Start) -> Event:
        spec = self._spec(order.name)
        target = ""
        if wanted := spec.get("targetContainerName"):
            target = self.worker.records[wanted].container_id
        place = (self.worker.sandbox_id, self.worker.ips)
        try:
            made = await self._runtime.start(self.worker.pod, spec, (order.attempt, order.image_ref), place, target)
        except StartFault as fault:
            return model.ContainerFailed(order.name, fault.reason, fault.message, fault.made)
        except CriError as error:
            return model.ContainerFailed(order.name, "RunContainerError", error.message)
        return model.ContainerStarted(order.name, made)

    async def _finish(self, order: Instruction) -> None:
        """Do what must succeed."""
        match order:
            case model.Stop(name, container_id, grace, text):
                await self._stop(name, container_id, grace, text)
            case model.Resize(changes):
                self.post(await self._runtime.resize(self.worker.pod, changes))
            case model.Remove(container_id):
                await self._until_done(lambda: self._host.runtime.remove_container(container_id))
            case model.StopSandbox():
                await self._until_done(self._runtime.stop_sandboxes)
                self.post(model.SandboxStopped())
            case model.TearDown():
                await self._until_done(lambda: self._runtime.tear_down(self.worker.pod))
                self.post(model.TornDown())
            case model.DeletePod():
                self._deleting = asyncio.current_task()
                await self._until_done(lambda: self._reports.delete(self.worker.pod, self.status))
            case model.Purge():
                await self._purge()

    async def _stop(self, name: str, container_id: str, grace: int, text: str) -> None:
        worker = self.worker
        spec = self._spec(name)
        try:
            await self._runtime.stop(worker.pod, spec, container_id, grace, worker.ips, text)
        except CriError as error:
            if error.code != NOT_FOUND:
                _log.warning("container not stopped", pod=self._name, container=name, error=error)
                await self._host.clock.sleep(_PAUSE)
                await self._until_done(lambda: self._host.runtime.stop_container(container_id, grace))
        await self._until_done(lambda: self._look(name, container_id))

    async def _purge(self) -> None:
        await self._prober.close()
        await self._until_done(lambda: self._runtime.purge(self.worker.pod))
        if self._deleting is not None:
            await asyncio.wait({self._deleting})
        self._gone = True
        if self._wake is not None:
            self._wake.cancel()
        self._reports.forget(self.uid)
        self._host.metrics.forget(self.worker.pod)
        self._purged(self.uid)

    async def _until_done(self, step: Callable[[], Awaitable[None]]) -> None:
        pause = _PAUSE
        while True:
            try:
                await step()
                return
            except (CriError, OSError, StatusError) as error:
                _log.warning("trying again", pod=self._name, error=error)
            await self._host.clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    # looking

    async def _settle(self, name: str, container_id: str) -> None:
        """The runtime announces an end before its status shows it."""
        for _ in range(_SETTLE_TRIES):
            try:
                if await self._look_once(name, container_id):
                    return
            except CriError as error:
                _log.warning("container not looked at", pod=self._name, container=name, error=error)
            await self._host.clock.sleep(_SETTLE)

    async def _look(self, name: str, container_id: str) -> None:
        await self._look_once(name, container_id)

    async def _look_once(self, name: str, container_id: str) -> bool:
        """Report what the runtime says; whether the container has ended."""
        try:
            found = await self._runtime.look(self.worker.pod, self._spec(name), container_id)
        except CriError as error:
            if error.code != NOT_FOUND:
                raise
            self.post(model.ContainerGone(name, container_id, self._host.clock.now()))
            return True
        self.post(model.ContainerSeen(name, found))
        return found.exit is not None

    # helpers

    def _spec(self, name: str) -> Object:
        return self.worker.records[name].spec

    @property
    def _name(self) -> str:
        meta = self.worker.pod["metadata"]
        return f"{meta['namespace']}/{meta['name']}"

    def _now(self) -> Moment:
        return Moment(self._host.clock.now(), self._host.clock.monotonic())

    def _tell(self, note: Note) -> None:
        self._host.record(self.worker.pod, note)

    def _probed(self, name: str, kind: str, result: str, seconds: float) -> None:
        self._host.metrics.probed(self.worker.pod, name, kind, result, seconds)

    def _wake_up(self, at: float) -> None:
        if self._wake is not None and not self._wake.done():
            if self._wake_at <= at:
                return
            self._wake.cancel()
        self._wake_at = at
        self._wake = self._tasks.start(self._tick(at), f"wake {self._name}")

    async def _tick(self, at: float) -> None:
        while (left := at - self._host.clock.monotonic()) > 0:
            await self._host.clock.sleep(left)
        # The next wake is asked for by the event's own answer.
        self._wake = None
        self.post(model.Tick())


def _failure(order: Instruction, message: str) -> Event:
    """The answer of an instruction that went wrong in no known way."""
    match order:
        case model.RunSandbox():
            return model.SandboxFailed(message)
        case model.Pull(name):
            return model.ImageFailed(name, "ErrImagePull", message)
        case model.Start(name):
            return model.ContainerFailed(name, "RunContainerError", message)
    return model.PrepareFailed(message)
