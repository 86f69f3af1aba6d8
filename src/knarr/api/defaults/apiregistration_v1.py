"""Defaults of apiregistration.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def api_service(obj: Object) -> None:
    """The port of the service."""
    service = obj["spec"].get("service")
    if service is not None:
        service.setdefault("port", 443)
