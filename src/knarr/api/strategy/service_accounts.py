"""Service accounts: references to secrets are names."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def create(obj: Object) -> None:
    """Keep nothing but the names of secrets."""
    if obj.get("secrets"):
        obj["secrets"] = [{"name": secret["name"]} if "name" in secret else {} for secret in obj["secrets"]]


def update(obj: Object, _old: Object, _now: str) -> None:
    """The same."""
    create(obj)
