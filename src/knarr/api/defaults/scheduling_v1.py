"""Defaults of scheduling.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def priority_class(obj: Object) -> None:
    """Its pods may preempt others."""
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
