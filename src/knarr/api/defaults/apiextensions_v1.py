"""Defaults of apiextensions.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def custom_resource_definition(obj: Object) -> None:
    """Names made from the kind, conversion, the port of its webhook."""
    spec = obj["spec"]
    names = spec["names"]
    if names["kind"]:
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", names["kind"] + "List")
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
