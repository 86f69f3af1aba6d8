"""Defaults of node.k8s.io/v1."""

from __future__ import annotations

from knarr.api.defaults import resource_lists
from knarr.apimachinery.types import Object


def runtime_class(obj: Object) -> None:
    """Amounts in thousandths at the finest."""
    resource_lists.round_up(obj.get("overhead"), "podFixed")
