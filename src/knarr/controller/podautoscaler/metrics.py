"""What is counted of autoscalers: their rounds, by what these did and what went wrong, and how many there are.

Source of names and texts: pkg/controller/podautoscaler/monitor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from knarr.api.registry import HPAS
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object
from knarr.component_base.metrics import ALPHA, About, Counter, Family, Histogram, Looked, Sample, exponential
from knarr.controller_runtime.changes import Result, Update
from knarr.controller_runtime.observing import Ended
from knarr.controller_runtime.snapshot import Snapshot

_LABELS = ("action", "error")
_BOTH = "by action (scale_up, scale_down, none) and by the fault that was met first (spec, internal, none)"
#: Reasons of events by which the autoscaler itself is wrong; what else is told is something else's fault.
_OWN_FAULTS = frozenset({"InvalidMetricSourceType", "InvalidSelector", "SelectorRequired", "AmbiguousSelector"})


def _about(name: str, text: str, labels: tuple[str, ...]) -> About:
    return About(f"horizontal_pod_autoscaler_controller_{name}", text, labels, ALPHA)


class AutoscalerMetrics:
    """`horizontal_pod_autoscaler_controller_…`."""

    def __init__(self) -> None:
        text = f"Number of reconciliations of autoscalers, {_BOTH}"
        self._rounds = Counter(_about("reconciliations_total", text, _LABELS))
        text = f"Seconds that one reconciliation of an autoscaler takes, {_BOTH}"
        self._seconds = Histogram(_about("reconciliation_duration_seconds", text, _LABELS), exponential(0.001, 2, 15))
        text = "Number of autoscalers."
        self._number = Looked(_about("num_horizontal_pod_autoscalers", text, ()), self._count)
        text = "How many replicas each autoscaler wants."
        self._desired = Looked(_about("desired_replicas", text, ("namespace", "hpa_name")), self._sizes)
        self._snapshot: Snapshot | None = None

    def families(self) -> Sequence[Family]:
        """As `Observer`."""
        return (self._rounds, self._seconds, self._number, self._desired)

    def changed(self, resource: Resource, old: Object | None, new: Object | None, snapshot: Snapshot) -> None:
        """As `Observer`."""
        self._snapshot = snapshot

    def ended(self, ended: Ended) -> None:
        """As `Observer`. What only asked, or had nothing to look at, is no round yet."""
        if ended.result.requeue_after is None:
            return
        key = (action(ended.result), error(ended))
        self._rounds.add(key)
        self._seconds.observe(ended.seconds, key)

    def _count(self) -> Iterator[Sample]:
        if self._snapshot is not None:
            yield (), len(self._snapshot.list(HPAS))

    def _sizes(self) -> Iterator[Sample]:
        for hpa in self._snapshot.list(HPAS) if self._snapshot is not None else ():
            meta = hpa["metadata"]
            yield (meta["namespace"], meta["name"]), (hpa.get("status") or {}).get("desiredReplicas") or 0


def action(result: Result) -> str:
    """What a round did with its target."""
    changes = [change for change in result.changes if isinstance(change, Update)]
    scale = next((change.object for change in changes if change.subresource == "scale"), None)
    status = next((change.object["status"] for change in changes if change.subresource == "status"), None)
    if scale is None or status is None:
        return "none"
    return "scale_up" if scale["spec"]["replicas"] > status.get("currentReplicas", 0) else "scale_down"


def error(ended: Ended) -> str:
    """What kind of fault a round met."""
    wrong = [note.reason for note in ended.result.events if note.type == "Warning"]
    if wrong:
        return "spec" if wrong[0] in _OWN_FAULTS else "internal"
    return "internal" if ended.failed else "none"
