"""Autoscalers: autoscaling/v1 knows CPU utilization; all else of v2 stands in its annotations as JSON.

Source: k8s.io/kubernetes/pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from knarr.api.conversion import autoscaling_metrics as metrics
from knarr.apimachinery.types import Object

_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _CURRENT = _PREFIX + "metrics", _PREFIX + "current-metrics"
_CONDITIONS, _BEHAVIOR = _PREFIX + "conditions", _PREFIX + "behavior"
_ANNOTATIONS = (_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR)
_CPU_TARGET, _CPU_CURRENT = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"

#: Percent of the CPU requests.
_CPU_DEFAULT = 80


def to_v2(obj: Object) -> Object:
    """Take metrics, conditions and behavior out of the annotations; one that can't be read is dropped."""
    annotations: dict[str, str] = obj["metadata"].get("annotations") or {}
    spec, status = dict(obj["spec"]), dict(obj.get("status") or {})
    wanted = [_cpu_spec(spec.pop(_CPU_TARGET))] if _CPU_TARGET in spec else []
    wanted = [*_listed(annotations, _METRICS, metrics.spec_to_v2), *wanted]
    if not wanted and _METRICS not in annotations:
        # An autoscaler that says nothing looks at the CPU: already here, as defaults come after conversion.
        wanted = [_cpu_spec(_CPU_DEFAULT)]
    if wanted:
        spec["metrics"] = wanted
    behavior = _read(annotations.get(_BEHAVIOR))
    if isinstance(behavior, dict):
        spec["behavior"] = metrics.tagged(behavior)
    current = [_cpu_status(status.pop(_CPU_CURRENT))] if _CPU_CURRENT in status else []
    # The annotation stands for all of it, the utilization of the CPU included.
    current = _listed(annotations, _CURRENT, metrics.status_to_v2) or current
    conditions = _listed(annotations, _CONDITIONS, dict)
    status = {**status, **({"currentMetrics": current} if current else {})}
    if conditions:
        status["conditions"] = conditions
    return {**obj, "metadata": _annotated(obj, {}), "spec": spec, "status": status}


def to_v1(obj: Object) -> Object:
    """Put what v1 has no field for into annotations."""
    spec, status = dict(obj["spec"]), dict(obj.get("status") or {})
    annotations: dict[str, Any] = {}
    others = []
    for item in spec.pop("metrics", None) or ():
        target = _cpu_utilization(item, "target")
        if target is not None:
            spec[_CPU_TARGET] = target
        else:
            others.append(metrics.spec_to_v1(item))
    current = status.pop("currentMetrics", None) or []
    for item in current:
        utilization = _cpu_utilization(item, "current")
        if utilization is not None:
            status[_CPU_CURRENT] = utilization
    annotations[_METRICS] = others
    annotations[_CURRENT] = [metrics.status_to_v1(item) for item in current]
    annotations[_CONDITIONS] = status.pop("conditions", None)
    annotations[_BEHAVIOR] = metrics.untagged_behavior(spec.pop("behavior", None))
    return {**obj, "metadata": _annotated(obj, annotations), "spec": spec, "status": status}


def _annotated(obj: Object, added: Mapping[str, Any]) -> Object:
    old: dict[str, str] = obj["metadata"].get("annotations") or {}
    kept = {name: text for name, text in old.items() if name not in _ANNOTATIONS}
    kept.update({name: orjson.dumps(value).decode() for name, value in added.items() if value})
    rest = {name: value for name, value in obj["metadata"].items() if name != "annotations"}
    return {**rest, "annotations": kept} if kept else rest


def _read(text: str | None) -> Any:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def _listed(annotations: Mapping[str, str], name: str, change: Callable[[Object], Object]) -> list[Object]:
    found = _read(annotations.get(name))
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        return []
    return [change(item) for item in found]


def _cpu_spec(percentage: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": percentage}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _cpu_status(percentage: int) -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percentage}}}


def _cpu_utilization(item: Object, side: str) -> int | None:
    resource = item.get("resource") or {}
    if item.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    found: int | None = (resource.get(side) or {}).get("averageUtilization")
    return found
