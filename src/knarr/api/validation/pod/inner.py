"""Pods as Kubernetes' internal structs, for the messages that show what changed in them."""

from __future__ import annotations

from typing import Any

from knarr.api.validation.go_values import internal
from knarr.apimachinery.types import Object


def inner_spec(spec: Object) -> Any:
    """A pod's spec."""
    return internal("core.v1.PodSpec", spec)


def inner_container(container: Object, *, ephemeral: bool = False) -> Any:
    """One container."""
    return internal("core.v1.EphemeralContainer" if ephemeral else "core.v1.Container", container)
