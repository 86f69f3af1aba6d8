"""Small texts that many cells share: ages, label lists, what stands for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from knarr.apimachinery import timestamps
from knarr.apimachinery.labels import from_object
from knarr.apimachinery.types import Object

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


def age(obj: Object, now: datetime) -> str:
    """How long ago an object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def since(stamp: str | None, now: datetime) -> str:
    """How long ago a time was, or `<unknown>`."""
    moment = timestamps.parse_optional(stamp)
    return UNKNOWN if moment is None else duration((now - moment).total_seconds())


def duration(seconds: float) -> str:
    """A span in at most two units, the smaller the span the finer (apimachinery's `HumanDuration`)."""
    if seconds <= -2:
        return "<invalid>"
    whole = max(0, int(seconds))
    minutes, hours = whole // 60, whole // 3600
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    return _days(hours)


def _days(hours: int) -> str:
    if hours < 24 * 8:
        return _two(hours // 24, "d", hours % 24, "h")
    if hours < 24 * 365 * 2:
        return f"{hours // 24}d"
    years = hours // (24 * 365)
    return _two(years, "y", hours // 24 % 365, "d") if hours < 24 * 365 * 8 else f"{years}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def labels(values: Mapping[str, str] | None) -> str:
    """`a=b,c=d`, sorted, or `<none>`."""
    return ",".join(f"{key}={value}" for key, value in sorted(values.items())) if values else NONE


def selector(value: Object | None) -> str:
    """A label selector as text, `<none>` for an empty one."""
    try:
        return (str(from_object(value)) if value else "") or NONE
    except ValueError:
        return "<error>"


def joined(values: Iterable[Any], empty: str = NONE) -> str:
    """Values with commas between them."""
    return ",".join(str(value) for value in values) or empty


def containers(pod_spec: Object) -> tuple[str, str]:
    """The names and the images of a pod's containers."""
    found = pod_spec.get("containers") or ()
    return joined((one["name"] for one in found), ""), joined((one.get("image", "") for one in found), "")
