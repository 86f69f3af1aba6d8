"""Custom resource definitions and API services."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def create_definition(obj: Object) -> None:
    """The version objects are stored in is one that was."""
    obj["status"]["storedVersions"] = _storage_versions(obj)


def update_definition(obj: Object, old: Object, _now: str) -> None:
    """A new one is noted."""
    stored = list((old.get("status") or {}).get("storedVersions") or ())
    fresh = [name for name in _storage_versions(obj) if name not in stored]
    if fresh:
        obj["status"] = {**obj["status"], "storedVersions": [*stored, *fresh]}


def _storage_versions(obj: Object) -> list[str]:
    """The first one that is marked: one name, or none."""
    marked = (version["name"] for version in obj["spec"].get("versions") or () if version.get("storage"))
    return [name for name in (next(marked, None),) if name is not None]


def create_api_service(obj: Object) -> None:
    """What this server serves itself is available at once."""
    if obj["spec"].get("service") is None:
        condition = {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": obj["metadata"].get("creationTimestamp"),
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
        obj["status"]["conditions"] = [condition]
