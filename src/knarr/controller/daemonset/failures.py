"""How long a node's failed pods are left alone, so that a pod that always fails is not made and removed without end.

This is the one thing that the cluster does not tell: it is remembered here, lost with the process, and then begins
anew, as in kube-controller-manager.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from knarr.apimachinery.types import Object

#: Seconds.
_FIRST, _LONGEST = 1.0, 900.0
#: Entries that one round may forget, looked through from the oldest.
_FORGOTTEN_AT_ONCE = 16


class Place(NamedTuple):
    """A DaemonSet, as it was observed, on one node."""

    uid: str
    generation: int
    node: str


class _Entry(NamedTuple):
    seconds: float
    since: datetime
    pod: str


class Failures:
    """The back-offs of all DaemonSets."""

    def __init__(self) -> None:
        self._entries: dict[Place, _Entry] = {}

    def wait(self, place: Place, pod: Object, now: datetime) -> float:
        """Seconds until a failed pod may go; 0 for one that may go now, from which on the next has to wait longer."""
        uid = pod["metadata"]["uid"]
        entry = self._entries.get(place)
        if entry is not None and entry.pod == uid:
            return 0.0
        if entry is not None and now - entry.since <= timedelta(seconds=2 * _LONGEST):
            left = entry.seconds - (now - entry.since).total_seconds()
            if left > 0:
                return left
            seconds = min(entry.seconds * 2, _LONGEST)
        else:
            seconds = _FIRST
        self._forget(now)
        self._entries.pop(place, None)
        self._entries[place] = _Entry(seconds, now, uid)
        return 0.0

    def _forget(self, now: datetime) -> None:
        """Drop what is over for long; the oldest stand first."""
        for place, entry in list(islice(self._entries.items(), _FORGOTTEN_AT_ONCE)):
            if now - entry.since <= timedelta(seconds=2 * _LONGEST):
                return
            del self._entries[place]

    def __len__(self) -> int:
        return len(self._entries)
