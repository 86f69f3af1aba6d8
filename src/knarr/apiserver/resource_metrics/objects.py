"""`NodeMetrics` and `PodMetrics`, alone, in lists and as tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from knarr.apimachinery import quantity, timestamps
from knarr.apimachinery.quantity import Format, Quantity
from knarr.apimachinery.types import Object
from knarr.apiserver.resource_metrics.history import Use

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"
NODE, POD = "NodeMetrics", "PodMetrics"


def node(name: str, labels: Mapping[str, str] | None, use: Use, now: datetime) -> Object:
    """A node's metrics."""
    return {
        "metadata": _metadata(name, "", labels, now),
        "timestamp": _time(use.time),
        "window": duration(use.window),
        "usage": _usage(use),
    }


def pod(name: tuple[str, str], labels: Mapping[str, str] | None, uses: Mapping[str, Use], now: datetime) -> Object:
    """A pod's metrics: those of its containers; their time is the oldest."""
    oldest = min(uses.values(), key=lambda use: use.time)
    return {
        "metadata": _metadata(name[1], name[0], labels, now),
        "timestamp": _time(oldest.time),
        "window": duration(oldest.window),
        "containers": [{"name": each, "usage": _usage(use)} for each, use in sorted(uses.items())],
    }


def single(kind: str, obj: Object) -> Object:
    """One object as it is answered."""
    return {"kind": kind, "apiVersion": API_VERSION, **obj}


def listed(kind: str, objects: Sequence[Object]) -> Object:
    """The list of objects."""
    return {"kind": f"{kind}List", "apiVersion": API_VERSION, "metadata": {}, "items": list(objects)}


def table(objects: Sequence[Object], include: str, kind: str) -> Object:
    """The Table of objects, whatever resources they tell of."""
    names = sorted({name for obj in objects for name in _totals(obj)})
    columns = [
        {"name": "Name", "type": "string", "format": "name", "description": "Name of the resource", "priority": 0},
        *({"name": name, "type": "string", "format": "quantity", "description": "", "priority": 0} for name in names),
        {"name": "Window", "type": "string", "format": "duration", "description": "", "priority": 0},
    ]
    rows = [{"cells": _cells(obj, names), "object": _included(obj, include, kind)} for obj in objects]
    head: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}}
    return {**head, "columnDefinitions": columns, "rows": rows}


def _cells(obj: Object, names: Iterable[str]) -> list[str]:
    totals = _totals(obj)
    return [obj["metadata"]["name"], *(str(totals.get(name, quantity.of(0))) for name in names), obj["window"]]


def _totals(obj: Object) -> dict[str, Quantity]:
    usages = [obj["usage"]] if "usage" in obj else [each["usage"] for each in obj["containers"]]
    out: dict[str, Quantity] = {}
    for usage in usages:
        for name, text in usage.items():
            amount = quantity.parse(text)
            out[name] = out[name] + amount if name in out else amount
    return out


def _included(obj: Object, include: str, kind: str) -> Object | None:
    if include == "Object":
        return single(kind, obj)
    return (
        None
        if include == "None"
        else {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    )


def _metadata(name: str, namespace: str, labels: Mapping[str, str] | None, now: datetime) -> Object:
    out: Object = {"name": name}
    if namespace:
        out["namespace"] = namespace
    out["creationTimestamp"] = timestamps.seconds(now)
    if labels:
        out["labels"] = dict(labels)
    return out


def _usage(use: Use) -> Object:
    return {"cpu": str(Quantity(use.nano_cores, -9)), "memory": str(quantity.of(use.memory, Format.BINARY_SI))}


def _time(seconds: float) -> str:
    return timestamps.seconds(datetime.fromtimestamp(seconds, UTC))


def duration(seconds: float) -> str:
    """A duration as Go writes it, to the millisecond: `15.02s`, `1m0s`."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return text
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + f"{minutes}m{text}"
