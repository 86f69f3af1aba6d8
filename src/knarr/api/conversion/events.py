"""Events: the core kind and that of events.k8s.io are the same object under other names."""

from __future__ import annotations

from collections.abc import Mapping

from knarr.apimachinery.types import Object

_NAMES: Mapping[str, str] = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_NAMES = {new: old for old, new in _NAMES.items()}


def from_core(obj: Object) -> Object:
    """As events.k8s.io has it."""
    return {_NAMES.get(name, name): value for name, value in obj.items()}


def to_core(obj: Object) -> Object:
    """As the core group has it."""
    return {_CORE_NAMES.get(name, name): value for name, value in obj.items()}
