"""How a simulation stands, as counts. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from knarr.apimachinery.types import Object


def pod_state(pod: Object) -> str:
    """One word for a pod: `Unscheduled`, `Terminating`, its phase, or `Ready`."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if not pod["spec"].get("nodeName"):
        return "Unscheduled"
    phase: str = status.get("phase", "Pending")
    return "Ready" if phase == "Running" and _is_ready(status) else phase


def node_state(node: Object) -> str:
    """`Ready`, or not."""
    return "Ready" if _is_ready(node.get("status") or {}) else "NotReady"


def _is_ready(status: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())


@dataclass(slots=True)
class Counts:
    """How many objects of a kind are in which state."""

    by_state: Counter[str] = field(default_factory=Counter)
    _states: dict[str, str] = field(default_factory=dict)

    def seen(self, uid: str, state: str) -> None:
        """An object is in a state."""
        before = self._states.get(uid)
        if before != state:
            if before:
                self.by_state[before] -= 1
            self._states[uid] = state
            self.by_state[state] += 1

    def gone(self, uid: str) -> None:
        """An object is no more."""
        before = self._states.pop(uid, None)
        if before:
            self.by_state[before] -= 1

    def keep(self, uids: set[str]) -> None:
        """Only these are left."""
        for uid in [uid for uid in self._states if uid not in uids]:
            self.gone(uid)

    @property
    def total(self) -> int:
        """All of them."""
        return len(self._states)
