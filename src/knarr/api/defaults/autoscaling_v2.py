"""Defaults of autoscaling/v2."""

from __future__ import annotations

from typing import Any

from knarr.apimachinery.types import Object

_CPU_PERCENT = 80


def horizontal_pod_autoscaler(obj: Object) -> None:
    """At least one replica, CPU utilization as the metric, and the rules of scaling that are begun."""
    spec = obj["spec"]
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _CPU_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        _complete(behavior, "scaleUp", [_policy("Pods", 4), _policy("Percent", 100)], {"stabilizationWindowSeconds": 0})
        _complete(behavior, "scaleDown", [_policy("Percent", 100)], {})


def _policy(kind: str, value: int) -> Object:
    return {"type": kind, "value": value, "periodSeconds": 15}


def _complete(behavior: Object, name: str, policies: list[Object], more: dict[str, Any]) -> None:
    rules = behavior.setdefault(name, {})
    for key, value in {**more, "selectPolicy": "Max", "policies": policies}.items():
        rules.setdefault(key, value)
