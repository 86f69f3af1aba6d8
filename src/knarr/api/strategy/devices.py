"""Device claims: what a driver reported of a device goes with the device."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def update_claim_status(obj: Object, old: Object, _now: str) -> None:
    """Drop the status of devices that were allocated and no longer are."""
    gone = _allocated(old) - _allocated(obj)
    reported = obj["status"].get("devices")
    if reported and gone:
        kept = [device for device in reported if _identity(device) not in gone]
        if kept:
            obj["status"]["devices"] = kept
        else:
            del obj["status"]["devices"]


def _allocated(obj: Object) -> set[tuple[str, str, str]]:
    allocation = obj["status"].get("allocation") or {}
    return {_identity(result) for result in (allocation.get("devices") or {}).get("results") or ()}


def _identity(device: Object) -> tuple[str, str, str]:
    return device["driver"], device["pool"], device["device"]
