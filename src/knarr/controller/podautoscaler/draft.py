"""The working state of one round: an autoscaler's conditions and events as they shall be, and its status at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from knarr.api.registry import HPAS
from knarr.api.semantics import conditions
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler.memory import Record
from knarr.controller_runtime.changes import Change, Context, EventNote, Update

ABLE, ACTIVE, LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


@dataclass(slots=True)
class Draft:
    """One round of one autoscaler."""

    hpa: Object
    context: Context
    record: Record
    conditions: list[Object]
    events: list[EventNote] = field(default_factory=list)

    @property
    def status(self) -> Object:
        """The status as it is."""
        found: Object = self.hpa.get("status") or {}
        return found

    def set(self, kind: str, status: str, reason: str, message: str) -> None:
        """Set a condition; its time is that of the last change of its status."""
        present = conditions.of_type(self.conditions, kind)
        since = timestamps.seconds(self.context.now)
        if present is not None and present["status"] == status:
            since = present.get("lastTransitionTime") or since
        new = {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
        self.conditions = conditions.replaced(self.conditions, new)

    def warn(self, reason: str, message: str) -> None:
        """Tell of something that does not work."""
        self.events.append(EventNote(self.hpa, "Warning", reason, message))

    def written(self, current: int | None = None, desired: int | None = None, metrics: object = None) -> list[Change]:
        """The write of the status, if it says anything new. What is not given stays as it is, but for the metrics."""
        status = dict(self.status)
        if current is not None:
            status["currentReplicas"] = current
            status["currentMetrics"] = metrics
        if desired is not None:
            status["desiredReplicas"] = desired
        status.setdefault("desiredReplicas", 0)
        rescaled = self.record.rescaled_at
        if rescaled is not None:
            status["lastScaleTime"] = max(status.get("lastScaleTime") or "", timestamps.seconds(rescaled))
        status["conditions"] = self.conditions
        if _told(status) == _told(self.status):
            return []
        return [Update(HPAS, {**self.hpa, "status": status}, "status")]


def _told(status: Object) -> Object:
    """A status without what it says nothing of."""
    return {name: value for name, value in status.items() if value is not None}
