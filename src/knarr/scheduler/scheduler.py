"""The scheduler at work: watch events in; bindings, conditions and events out.

Cycles run one at a time, each without interruption; bindings run beside each other. After a crash nothing is lost: a
pod without a node is a pod to schedule, and a binding is either in the store or not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from knarr.api.registry import PODS
from knarr.api.resources import Resource
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks
from knarr.scheduler import metrics, reports, volumes
from knarr.scheduler.cache import Cache
from knarr.scheduler.cycle import Settings, schedule
from knarr.scheduler.diagnosis import FitError, NoNodesError
from knarr.scheduler.framework import Event, EventKind
from knarr.scheduler.metrics import SchedulerMetrics
from knarr.scheduler.pod_info import PodInfo
from knarr.scheduler.queue import Queue, QueuedPod
from knarr.scheduler.recorder import Recorder
from knarr.scheduler.volume_binder import VolumeBinder
from knarr.scheduler.volumes import Plan, UnusableClaim

_log = logs.get("scheduler")
#: Bindings under way at once.
_MOST_BINDINGS = 64
#: Seconds before asking again what became of a binding whose answer was lost.
_ASK_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the scheduler reaches the world through."""

    client: Client
    tasks: Tasks
    clock: Clock
    recorder: Recorder


class Scheduler:
    """Gives every pod of its scheduler name a node."""

    def __init__(self, surroundings: Surroundings, settings: Settings) -> None:
        self._client = surroundings.client
        self._tasks = surroundings.tasks
        self._clock = surroundings.clock
        self._recorder = surroundings.recorder
        self._settings = settings
        self._start = 0
        self._woken = asyncio.Event()
        self._bindings = asyncio.Semaphore(_MOST_BINDINGS)
        self.cache = Cache()
        self._volumes = VolumeBinder(surroundings.client, self.cache.storage, surroundings.clock)
        self.queue = Queue(settings.profile)
        self.metrics = SchedulerMetrics(settings.profile.scheduler_name, self.queue)

    def on_pod(self, old: Object | None, new: Object | None) -> None:
        """A pod was created (`old` is none), changed, or deleted (`new` is none)."""
        if old is not None and new is not None and _unchanged(old, new):
            return
        if new is None or _ended(new):
            if last := new or old:
                self._gone(PodInfo(last))
            return
        pod = PodInfo(new)
        if pod.node_name:
            known = old is not None and bool((old.get("spec") or {}).get("nodeName"))
            self.queue.remove(pod.uid)
            self.cache.set_pod(pod)
            self._happened(Event(EventKind.POD_UPDATE if known else EventKind.POD_ADD, old if known else None, new))
        elif pod.terminating or not self._is_ours(pod):
            self.queue.remove(pod.uid)
        elif not self.cache.is_assumed(pod.uid):
            self.queue.set(pod, self._clock.monotonic())
            self._woken.set()

    def on_node(self, old: Object | None, new: Object | None) -> None:
        """A node was created, changed, or deleted."""
        if named := new or old:
            self.cache.set_node(named["metadata"]["name"], new)
        if new is None:
            self._happened(Event(EventKind.NODE_DELETE, old))
        else:
            self._happened(Event(EventKind.NODE_ADD if old is None else EventKind.NODE_UPDATE, old, new))

    def on_namespace(self, old: Object | None, new: Object | None) -> None:
        """A namespace was created, changed, or deleted."""
        if named := new or old:
            self.cache.set_namespace(named["metadata"]["name"], new)
        self._happened(Event(EventKind.NAMESPACE, old, new))

    def on_workload(self, kind: str, old: Object | None, new: Object | None) -> None:
        """A Service or a controller of pods was created, changed, or deleted."""
        if named := new or old:
            meta = named["metadata"]
            if kind == "Service":
                self.cache.workloads.set_service(meta["namespace"], meta["name"], new)
            else:
                self.cache.workloads.set_controller(kind, meta["namespace"], meta["name"], new)

    def on_storage(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """A claim, a volume or something that claims are served from was created, changed, or deleted."""
        self.cache.storage.set(resource, old, new)
        self._volumes.changed()
        self._happened(Event(EventKind.STORAGE, old, new))

    async def run(self) -> None:
        """Schedule, forever."""
        while True:
            await self._bindings.acquire()
            queued = self.queue.pop(self._clock.monotonic())
            if queued is None or not self._attempt(queued):
                self._bindings.release()
            await (self._rest() if queued is None else asyncio.sleep(0))

    async def _rest(self) -> None:
        """Wait for an event, or until a pause ends."""
        self._woken.clear()
        due = self.queue.next_due()
        alarm = None
        if due is not None:
            alarm = self._tasks.start(self._ring(due - self._clock.monotonic()), "scheduler alarm")
        try:
            await self._woken.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(max(seconds, 0.0))
        self._woken.set()

    def _is_ours(self, pod: PodInfo) -> bool:
        return (pod.spec.get("schedulerName") or self._settings.profile.scheduler_name) == (
            self._settings.profile.scheduler_name
        )

    def _gone(self, pod: PodInfo) -> None:
        self.queue.remove(pod.uid)
        held = bool(pod.node_name) or self.cache.is_assumed(pod.uid)
        self.cache.remove_pod(pod.uid)
        if held:
            self._happened(Event(EventKind.POD_DELETE, pod.obj))

    def _happened(self, event: Event) -> None:
        if self.queue.wake(event, self._clock.monotonic()):
            self._woken.set()

    def _attempt(self, queued: QueuedPod) -> bool:
        """Run one cycle; says whether a binding is under way."""
        pod, now = queued.pod, self._clock.monotonic
        began = now()
        try:
            decision = schedule(pod, self.cache, self._settings, self._start)
        except FitError as error:
            self.metrics.attempted(metrics.UNSCHEDULABLE, now() - began)
            self.queue.refuse(queued, error.diagnosis.plugins, now())
            self._report(pod, reports.UNSCHEDULABLE, str(error))
            return False
        except NoNodesError as error:
            self.metrics.attempted(metrics.UNSCHEDULABLE, now() - began)
            self.queue.refuse(queued, (), now())
            self._report(pod, reports.UNSCHEDULABLE, str(error))
            return False
        except Exception as error:  # noqa: BLE001 - one pod that breaks a plugin must not stop the others
            _log.error("scheduling failed", pod=pod.key, error=error)
            self.metrics.attempted(metrics.ERROR, now() - began)
            self.queue.retry(queued, now())
            self._report(pod, reports.SCHEDULER_ERROR, str(error))
            return False
        self._start = decision.next_start
        plan = self._plan(pod, decision.node_name)
        self.cache.assume(pod, decision.node_name)
        self._volumes.assume(plan)
        self._tasks.start(self._bind(queued, plan, began), f"bind {pod.key}")
        return True

    def _plan(self, pod: PodInfo, node_name: str) -> Plan:
        """What serves the pod's claims on the node that was chosen."""
        found = volumes.place(
            volumes.claims_of(pod, self.cache.storage), self.cache.nodes_by_name[node_name], self.cache.storage
        )
        if not isinstance(found, Plan):
            raise RuntimeError(f"no volumes on {node_name} for {pod.key}: {found.reasons}")
        return found

    async def _bind(self, queued: QueuedPod, plan: Plan, began: float) -> None:
        """Bind the pod's claims, then the pod. Claims may take their time: they do not keep others from binding."""
        if not plan.awaited:
            await self._bind_pod(queued, plan.node_name, began)
            return
        self._bindings.release()
        pod = queued.pod
        try:
            await self._volumes.bind(plan, self.cache.nodes_by_name.get)
        except (UnusableClaim, StatusError, ConnectionError, TimeoutError) as problem:
            self._volumes.give_up(plan)
            self.metrics.attempted(metrics.ERROR, self._clock.monotonic() - began)
            self._give_back(queued, f'running PreBind plugin "VolumeBinding": {problem}')
            return
        await self._bindings.acquire()
        if self.cache.is_assumed(pod.uid):
            await self._bind_pod(queued, plan.node_name, began)
        else:
            self._bindings.release()

    async def _bind_pod(self, queued: QueuedPod, node_name: str, began: float) -> None:
        pod = queued.pod
        try:
            body = reports.binding(pod, node_name)
            try:
                await self._client.create(PODS, body, pod.namespace, name=pod.name, subresource="binding")
            except ConnectionError:
                await self._ask(pod, node_name)
        except StatusError as error:
            self.metrics.attempted(metrics.ERROR, self._clock.monotonic() - began)
            self._not_bound(queued, error)
        else:
            self.metrics.attempted(metrics.SCHEDULED, self._clock.monotonic() - began)
            self.metrics.scheduled(queued.attempts)
            self.queue.remove(pod.uid)
            self._recorder.record(reports.scheduled(pod, node_name))
            _log.info("scheduled", pod=pod.key, node=node_name, attempts=queued.attempts)
        finally:
            self._bindings.release()

    async def _ask(self, pod: PodInfo, node_name: str) -> None:
        """Find out whether a binding whose answer was lost was carried out. Raises `StatusError` if it was not."""
        while True:
            try:
                live = await self._client.get(PODS, pod.name, pod.namespace)
            except ConnectionError:
                await self._clock.sleep(_ASK_AGAIN)
                continue
            if live["metadata"].get("uid") == pod.uid and (live.get("spec") or {}).get("nodeName") == node_name:
                return
            raise StatusError(500, "InternalError", "the answer to the binding was lost")

    def _not_bound(self, queued: QueuedPod, error: StatusError) -> None:
        _log.warning("binding failed", pod=queued.pod.key, error=error)
        self._give_back(queued, "" if error.code == 404 else f"binding rejected: {error.message}")

    def _give_back(self, queued: QueuedPod, message: str) -> None:
        """Take the pod from its node again, and try anew later."""
        pod = queued.pod
        if self.cache.is_assumed(pod.uid):
            self.cache.remove_pod(pod.uid)
            self._happened(Event(EventKind.POD_DELETE, pod.obj))
        self.queue.retry(queued, self._clock.monotonic())
        self._woken.set()
        if message:
            self._report(pod, reports.SCHEDULER_ERROR, message)

    def _report(self, pod: PodInfo, reason: str, message: str) -> None:
        self._recorder.record(reports.failed(pod, message))
        patch = reports.not_scheduled(pod, reason, message, self._clock.now())
        if patch is not None:
            self._tasks.start(self._patch(pod, patch), f"condition of {pod.key}")

    async def _patch(self, pod: PodInfo, patch: Object) -> None:
        try:
            await self._client.patch(PODS, pod.name, patch, pod.namespace, subresource="status")
        except (StatusError, ConnectionError) as error:
            _log.warning("condition not written", pod=pod.key, error=error)


def _ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _unchanged(old: Object, new: Object) -> bool:
    """Whether nothing of a running pod has changed that decisions depend on; most updates are of its status alone."""
    if not (old.get("spec") or {}).get("nodeName") or _ended(new) or old.get("spec") != new.get("spec"):
        return False
    before, after = old["metadata"], new["metadata"]
    if before.get("uid") != after.get("uid") or before.get("labels") != after.get("labels"):
        return False
    same_end = before.get("deletionTimestamp") == after.get("deletionTimestamp")
    return same_end and _granted(old) == _granted(new)


def _granted(pod: Object) -> list[object]:
    """What the kubelet has granted each container."""
    status = pod.get("status") or {}
    states = (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ()))
    return [(state.get("allocatedResources"), state.get("resources")) for state in states]
