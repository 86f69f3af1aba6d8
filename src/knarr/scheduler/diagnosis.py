"""Why a pod fits nowhere: the sentence of its `PodScheduled` condition and `FailedScheduling` event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.scheduler.framework import Status


@dataclass(slots=True)
class Diagnosis:
    """What each node was refused for. `absent` holds for the nodes that were not looked at."""

    node_count: int
    statuses: dict[str, Status] = field(default_factory=dict)
    absent: Status | None = None
    plugins: set[str] = field(default_factory=set)
    pre_filter: str = ""
    post_filter: str = ""

    def message(self) -> str:
        """The sentence, as in `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s).`."""
        head = f"0/{self.node_count} nodes are available:"
        if self.pre_filter:
            head += f" {self.pre_filter}."
        elif listed := ", ".join(sorted(f"{count} {reason}" for reason, count in self._counted().items())):
            head += f" {listed}."
        return f"{head} {self.post_filter}" if self.post_filter else head

    def _counted(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for status in self.statuses.values():
            counts.update(status.reasons)
        if self.absent is not None and len(self.statuses) < self.node_count:
            for reason in self.absent.reasons:
                counts[reason] += self.node_count - len(self.statuses)
        return counts


class FitError(Exception):
    """A pod fits nowhere."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.message())
        self.diagnosis = diagnosis


class NoNodesError(Exception):
    """There is no node at all."""

    def __init__(self) -> None:
        super().__init__("no nodes available to schedule pods")
