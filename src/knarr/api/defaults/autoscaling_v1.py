"""Defaults of autoscaling/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_CPU_PERCENT = 80
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"


def horizontal_pod_autoscaler(obj: Object) -> None:
    """At least one replica, and CPU utilization unless other metrics stand in the annotation for them."""
    obj["spec"].setdefault("minReplicas", 1)
    if _METRICS not in (obj["metadata"].get("annotations") or {}):
        obj["spec"].setdefault("targetCPUUtilizationPercentage", _CPU_PERCENT)
