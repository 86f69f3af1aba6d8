"""Endpoint slices: the old topology map cannot be set any more."""

from __future__ import annotations

from knarr.apimachinery.types import Object

_TOPOLOGY = "deprecatedTopology"


def create(obj: Object) -> None:
    """Drop it."""
    for endpoint in obj.get("endpoints") or ():
        endpoint.pop(_TOPOLOGY, None)


def update(obj: Object, old: Object, _now: str) -> None:
    """Drop it from a slice whose endpoints had none."""
    if not any(_TOPOLOGY in endpoint for endpoint in old.get("endpoints") or ()):
        create(obj)
