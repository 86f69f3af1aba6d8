"""Defaults of discovery.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def endpoint_slice(obj: Object) -> None:
    """Names and protocols of ports."""
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
