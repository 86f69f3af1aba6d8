"""How many nodes a rolling update may leave without a pod, and how many may have two."""

from __future__ import annotations

from knarr.apimachinery import intstr
from knarr.apimachinery.types import Object


def _rolling(daemon_set: Object) -> Object:
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    return (strategy.get("rollingUpdate") or {}) if strategy.get("type") == "RollingUpdate" else {}


def is_rolling(daemon_set: Object) -> bool:
    """Whether old pods are replaced without being asked."""
    return bool((daemon_set["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate")


def max_surge(daemon_set: Object, nodes: int) -> int:
    """Of this many nodes, those that may have two pods."""
    return intstr.scaled(_rolling(daemon_set).get("maxSurge") or 0, nodes, round_up=True)


def max_unavailable(daemon_set: Object, nodes: int) -> int:
    """Of this many nodes, those that may be without an available pod; at least one where there is no surge."""
    found = intstr.scaled(_rolling(daemon_set).get("maxUnavailable") or 0, nodes, round_up=True)
    return 1 if nodes and not found and not max_surge(daemon_set, nodes) else found


def allows_surge(daemon_set: Object) -> bool:
    """Whether nodes may have two pods."""
    return max_surge(daemon_set, 1) > 0
