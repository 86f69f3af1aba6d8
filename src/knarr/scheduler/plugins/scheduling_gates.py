"""SchedulingGates: a pod with gates waits until they are gone (KEP-3521)."""

from __future__ import annotations

from knarr.scheduler.framework import Event, Status, unresolvable
from knarr.scheduler.pod_info import PodInfo


class SchedulingGates:
    """Holds back gated pods. An update of the pod itself releases it, no event of others does."""

    name = "SchedulingGates"

    def pre_enqueue(self, pod: PodInfo) -> Status | None:
        """Refuse a pod that still has gates."""
        gates = [gate.get("name", "") for gate in pod.spec.get("schedulingGates") or ()]
        return unresolvable(f"waiting for scheduling gates: [{' '.join(gates)}]") if gates else None

    def wakes(self, pod: PodInfo, event: Event) -> bool:
        """Never."""
        return False
