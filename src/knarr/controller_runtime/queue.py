"""The work queue of a controller: keys wait once, are worked on once at a time, and come back after a back-off.

Input: keys and monotonic seconds. Output: the keys to work on. Invariants: a key never stands twice in the queue; a
key added while it is worked on comes back when that work is done; of two delays of a key the shorter one counts; a key
that rests is not given out before its rest is over.
Source: k8s.io/client-go/util/workqueue.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
#: Seconds: the first back-off, doubled by each failure in a row, and the longest.
_FIRST, _LONGEST = 0.005, 1000.0


class WorkQueue(Generic[K]):
    """Keys that wait, are delayed, or are worked on."""

    def __init__(self) -> None:
        self._ready: OrderedDict[K, float] = OrderedDict()
        self._working: set[K] = set()
        self._again: dict[K, float] = {}
        self._delayed: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0
        self._failures: dict[K, int] = {}
        self._resting: dict[K, float] = {}

    def add(self, key: K, now: float) -> bool:
        """Let a key wait to be worked on; False if it already does."""
        if key in self._working:
            return self._again.setdefault(key, now) == now
        if key in self._ready:
            return False
        self._ready[key] = now
        return True

    def add_after(self, key: K, seconds: float, now: float) -> None:
        """Add a key after some seconds."""
        due = now + seconds
        if due >= self._delayed.get(key, float("inf")):
            return
        self._delayed[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))

    def retry(self, key: K, now: float) -> float:
        """Add a key after its back-off, which doubles with every failure in a row; the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds: float = min(_FIRST * 2.0 ** min(failures, 60), _LONGEST)
        self.add_after(key, seconds, now)
        return seconds

    def forget(self, key: K) -> None:
        """The key's work went well: its back-off starts anew."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often the key's work has failed in a row."""
        return self._failures.get(key, 0)

    def take_due(self, now: float) -> None:
        """Move the keys whose delay is over to those that wait."""
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._delayed.get(key) == due:
                del self._delayed[key]
                self.add(key, now)

    def due(self) -> float | None:
        """When the next delayed key is due."""
        while self._heap and self._delayed.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def get(self, now: float = float("inf")) -> tuple[K, float] | None:
        """Begin with a key; also since when it waited. None when nothing waits. Give it back with `done`."""
        while self._ready:
            key, since = self._ready.popitem(last=False)
            until = self._resting.get(key, 0.0)
            if until > now:
                self.add_after(key, until - now, now)
                continue
            self._resting.pop(key, None)
            self._working.add(key)
            return key, since
        return None

    def rest(self, key: K, until: float) -> None:
        """Do not begin with a key before a moment."""
        self._resting[key] = until

    def done(self, key: K) -> None:
        """The work on a key has ended; if it was added meanwhile, it waits again."""
        self._working.discard(key)
        since = self._again.pop(key, None)
        if since is not None:
            self.add(key, since)

    @property
    def working(self) -> int:
        """How many keys are worked on."""
        return len(self._working)

    def __len__(self) -> int:
        return len(self._ready)

    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is worked on; delayed keys may be left."""
        return not self._ready and not self._working
