"""The scheduling queue: which pod is tried next, and when a refused one is tried again.

Three places: *active* (to be tried, by priority and age), *backoff* (to be tried after a pause that doubles with every
failure), *waiting* (no node fits, or gated) until an event that may help the plugins that refused it. Times are
monotonic seconds that the caller passes in.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice, takewhile

from knarr.apimachinery.types import Object
from knarr.scheduler.framework import Event
from knarr.scheduler.pod_info import PodInfo
from knarr.scheduler.profile import Profile

INITIAL_BACKOFF = 1.0
LONGEST_BACKOFF = 10.0
#: Seconds after which a waiting pod is tried again without any event.
LONGEST_WAIT = 300.0
_UNTRACKED = ("resourceVersion", "generation", "managedFields")


class Place(Enum):
    """Where a pod stands."""

    ACTIVE = "active"
    BACKOFF = "backoff"
    WAITING = "unschedulable"
    GATED = "gated"
    OUT = "out"


@dataclass(eq=False, slots=True)
class QueuedPod:
    """A pod on its way to a node. `refused_by` are the plugins that refused it last; none after an error."""

    pod: PodInfo
    added: float
    attempts: int = 0
    failures: int = 0
    refused_by: frozenset[str] = frozenset()
    since: float = 0.0
    place: Place = Place.OUT
    ticket: int = 0

    @property
    def pause(self) -> float:
        """Seconds before the next attempt."""
        if self.failures == 0:
            return 0.0
        return min(INITIAL_BACKOFF * 2.0 ** min(self.failures - 1, 30), LONGEST_BACKOFF)


class Queue:
    """All pods that have no node yet."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[tuple[int, float, int, QueuedPod]] = []
        self._backoff: list[tuple[float, int, QueuedPod]] = []
        #: In the order they began to wait.
        self._waiting: dict[str, QueuedPod] = {}
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._pods)

    def count(self, place: Place) -> int:
        """How many pods stand there."""
        return sum(queued.place is place for queued in self._pods.values())

    def set(self, pod: PodInfo, now: float) -> None:
        """A pod without a node was created or changed."""
        queued = self._pods.get(pod.uid)
        if queued is None:
            queued = self._pods[pod.uid] = QueuedPod(pod, added=now)
            self._enter(queued, now)
            return
        changed = _scheduling_part(queued.pod.obj) != _scheduling_part(pod.obj)
        reordered = queued.pod.priority != pod.priority
        queued.pod = pod
        if queued.place is Place.GATED or (changed and queued.place is Place.WAITING):
            self._enter(queued, now)
        elif reordered and queued.place is Place.ACTIVE:
            self._activate(queued)

    def remove(self, uid: str) -> None:
        """A pod is gone, or has a node."""
        queued = self._pods.pop(uid, None)
        if queued is not None:
            queued.place = Place.OUT
            self._waiting.pop(uid, None)

    def pop(self, now: float) -> QueuedPod | None:
        """Take the pod to try next. It stays known, so that updates of it are not lost; give it back or remove it."""
        self.flush(now)
        queued = self._next_active() or self._next_refused_in_backoff()
        if queued is not None:
            queued.place = Place.OUT
            queued.attempts += 1
        return queued

    def refuse(self, queued: QueuedPod, plugins: Iterable[str], now: float) -> None:
        """No node fits: wait for an event that helps one of these plugins."""
        queued.refused_by = frozenset(plugins)
        self._failed(queued, Place.WAITING, now)

    def retry(self, queued: QueuedPod, now: float) -> None:
        """An attempt failed for a reason that is not the cluster's state: try again after a pause."""
        queued.refused_by = frozenset()
        self._failed(queued, Place.BACKOFF, now)

    def _failed(self, queued: QueuedPod, place: Place, now: float) -> None:
        if self._pods.get(queued.pod.uid) is not queued:
            return
        queued.failures += 1
        queued.since = now
        if place is Place.BACKOFF:
            self._pause(queued)
        else:
            queued.place = Place.WAITING
            self._waiting[queued.pod.uid] = queued

    def wake(self, event: Event, now: float) -> bool:
        """Let waiting pods try again that the event may help; says whether any was."""
        woken = [queued for queued in self._waiting.values() if self._helps(queued, event)]
        for queued in woken:
            self._enter(queued, now)
        return bool(woken)

    def _helps(self, queued: QueuedPod, event: Event) -> bool:
        if not queued.refused_by:
            return True
        plugins = (self._profile.plugin(name) for name in queued.refused_by)
        return any(plugin is None or plugin.wakes(queued.pod, event) for plugin in plugins)

    def flush(self, now: float) -> None:
        """Activate what has paused, or waited, long enough."""
        while self._backoff and self._backoff[0][0] <= now:
            _, ticket, queued = heapq.heappop(self._backoff)
            if queued.place is Place.BACKOFF and queued.ticket == ticket:
                self._activate(queued)
        for queued in list(takewhile(lambda queued: now >= queued.since + LONGEST_WAIT, self._waiting.values())):
            self._enter(queued, now)

    def next_due(self) -> float | None:
        """When `flush` will have something to do, if nothing else happens."""
        while self._backoff and not _stands(self._backoff[0][2], self._backoff[0][1], Place.BACKOFF):
            heapq.heappop(self._backoff)
        due = [self._backoff[0][0]] if self._backoff else []
        due += [queued.since + LONGEST_WAIT for queued in islice(self._waiting.values(), 1)]
        return min(due, default=None)

    def _enter(self, queued: QueuedPod, now: float) -> None:
        """Put a pod where it belongs now."""
        self._waiting.pop(queued.pod.uid, None)
        for plugin in self._profile.enqueue:
            if plugin.pre_enqueue(queued.pod) is not None:
                queued.place = Place.GATED
                queued.refused_by = frozenset((plugin.name,))
                return
        if queued.since + queued.pause > now:
            self._pause(queued)
        else:
            self._activate(queued)

    def _activate(self, queued: QueuedPod) -> None:
        self._stamp(queued, Place.ACTIVE)
        heapq.heappush(self._active, (-queued.pod.priority, queued.since or queued.added, queued.ticket, queued))

    def _pause(self, queued: QueuedPod) -> None:
        self._stamp(queued, Place.BACKOFF)
        heapq.heappush(self._backoff, (queued.since + queued.pause, queued.ticket, queued))

    def _stamp(self, queued: QueuedPod, place: Place) -> None:
        self._tickets += 1
        queued.place, queued.ticket = place, self._tickets

    def _next_active(self) -> QueuedPod | None:
        while self._active:
            _, _, ticket, queued = heapq.heappop(self._active)
            if _stands(queued, ticket, Place.ACTIVE):
                return queued
        return None

    def _next_refused_in_backoff(self) -> QueuedPod | None:
        """With nothing else to do, a pod that an event has woken need not sit out its pause; one that erred must."""
        for due, ticket, queued in self._backoff:
            if _stands(queued, ticket, Place.BACKOFF) and queued.refused_by:
                self._backoff.remove((due, ticket, queued))
                heapq.heapify(self._backoff)
                return queued
        return None


def _stands(queued: QueuedPod, ticket: int, place: Place) -> bool:
    return queued.place is place and queued.ticket == ticket


def _scheduling_part(obj: Object) -> Object:
    """What of a pod may change where it fits: everything but its status and bookkeeping."""
    meta = {key: value for key, value in obj["metadata"].items() if key not in _UNTRACKED}
    return {"metadata": meta, "spec": obj.get("spec")}
