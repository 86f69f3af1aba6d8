"""Metrics of autoscalers in the two shapes: v2's nested ones, and v1's flat ones, which only annotations hold.

A flat metric is `{"type": "Pods", "pods": {"metricName": "x", "targetAverageValue": "1"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.apimachinery.types import Object

_SOURCES: Mapping[str, str] = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}


def spec_to_v1(item: Object) -> Object:
    """The flat form of what is wanted."""
    return _flat(item, "target")


def status_to_v1(item: Object) -> Object:
    """The flat form of what is measured."""
    return _flat(item, "current")


def spec_to_v2(item: Object) -> Object:
    """The nested form of what is wanted."""
    return _nested(item, "target")


def status_to_v2(item: Object) -> Object:
    """The nested form of what is measured."""
    return _nested(item, "current")


def _flat(item: Object, side: str) -> Object:
    name = _SOURCES.get(item.get("type", ""), "")
    source = item.get(name)
    if not source:
        return {"type": item.get("type", "")}
    return {"type": item["type"], name: _WRITERS[name](source, source.get(side) or {}, side)}


def _flat_object(source: Object, value: Object, side: str) -> Object:
    metric = source.get("metric") or {}
    out = {"target": source.get("describedObject", {}), "metricName": metric.get("name", "")}
    out[f"{side}Value"] = value.get("value", "0")
    return _with(out, selector=metric.get("selector"), averageValue=value.get("averageValue"))


def _flat_pods(source: Object, value: Object, side: str) -> Object:
    metric = source.get("metric") or {}
    out = {"metricName": metric.get("name", ""), f"{side}AverageValue": value.get("averageValue", "0")}
    return _with(out, selector=metric.get("selector"))


def _flat_resource(source: Object, value: Object, side: str) -> Object:
    out: Object = {"name": source.get("name", "")}
    utilization = value.get("averageUtilization")
    if utilization is not None:
        out[f"{side}AverageUtilization"] = utilization
    average = value.get("averageValue", "0" if side == "current" else None)
    if average is not None:
        out[f"{side}AverageValue"] = average
    return _with(out, container=source.get("container"))


def _flat_external(source: Object, value: Object, side: str) -> Object:
    metric = source.get("metric") or {}
    out = _with({"metricName": metric.get("name", "")}, metricSelector=metric.get("selector"))
    if side == "current" or "value" in value:
        out[f"{side}Value"] = value.get("value", "0")
    if "averageValue" in value:
        out[f"{side}AverageValue"] = value["averageValue"]
    return out


_WRITERS = {
    "object": _flat_object,
    "pods": _flat_pods,
    "resource": _flat_resource,
    "containerResource": _flat_resource,
    "external": _flat_external,
}


def _with(out: Object, **more: Any) -> Object:
    return {**out, **{name: value for name, value in more.items() if value is not None}}


def _nested(item: Object, side: str) -> Object:
    name = _SOURCES.get(item.get("type", ""), "")
    source = item.get(name)
    if not source:
        return {"type": item.get("type", "")}
    return {"type": item["type"], name: {**_described(name, source), side: _value(name, source, side)}}


def _described(name: str, source: Object) -> Object:
    if name in ("resource", "containerResource"):
        return _with({"name": source.get("name", "")}, container=source.get("container"))
    selector = source.get("metricSelector") or source.get("selector")
    out: Object = {"metric": _with({"name": source.get("metricName", "")}, selector=selector)}
    return {"describedObject": source.get("target", {}), **out} if name == "object" else out


def _value(name: str, source: Object, side: str) -> Object:
    """The target or the measured value; a target says of which of three kinds it is."""
    average = source.get(f"{side}AverageValue", source.get("averageValue"))
    utilization = source.get(f"{side}AverageUtilization")
    plain = source.get(f"{side}Value")
    out = _with({}, value=plain, averageValue=average, averageUtilization=utilization)
    if side != "target":
        return out
    if name == "object" and average is not None:
        out.pop("value", None)
    kind = "Utilization" if utilization is not None else ("AverageValue" if "averageValue" in out else "Value")
    return {"type": kind, **out}


def untagged_behavior(behavior: Object | None) -> Object | None:
    """A behavior under the names of Go's fields, all of them, as the annotation has it."""
    if not behavior:
        return None
    return {_upper(name): _untagged_rules(behavior.get(name)) for name in ("scaleUp", "scaleDown")}


def _untagged_rules(rules: Object | None) -> Object | None:
    if rules is None:
        return None
    policies = rules.get("policies")
    return {
        "StabilizationWindowSeconds": rules.get("stabilizationWindowSeconds"),
        "SelectPolicy": rules.get("selectPolicy"),
        "Policies": None if policies is None else [{_upper(key): item[key] for key in item} for item in policies],
        "Tolerance": rules.get("tolerance"),
    }


def tagged(value: Any) -> Any:
    """The same under JSON's names, without what is null."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: tagged(item) for key, item in value.items() if item is not None}
    return [tagged(item) for item in value] if isinstance(value, list) else value


def _upper(name: str) -> str:
    return name[:1].upper() + name[1:]
