"""Limit ranges: they may come without a name."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def create(obj: Object) -> None:
    """Name it like its `uid`, which is as good as random."""
    metadata = obj["metadata"]
    if not metadata.get("name") and metadata.get("uid"):
        metadata["name"] = metadata["uid"]
