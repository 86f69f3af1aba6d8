"""Defaults of apiextensions.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def custom_resource_definition(obj: Object) -> None:
    """Names made from the kind, conversion, the port of its webhook, that one version at least is stored."""
    spec = obj["spec"]
    names = spec["names"]
    if names["kind"]:
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", names["kind"] + "List")
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", 443)
    status = obj.get("status")
    if isinstance(status, dict) and not status.get("storedVersions"):
        stored = next((each["name"] for each in spec.get("versions") or () if each.get("storage")), None)
        if stored is not None:
            status["storedVersions"] = [stored]
