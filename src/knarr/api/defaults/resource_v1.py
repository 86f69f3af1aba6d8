"""Defaults of resource.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def resource_claim(obj: Object) -> None:
    """How many devices each request asks for."""
    _claim_spec(obj["spec"])


def resource_claim_template(obj: Object) -> None:
    """The same of the template."""
    _claim_spec(obj["spec"]["spec"])


def _claim_spec(spec: Object) -> None:
    for request in spec["devices"].get("requests") or ():
        if "exactly" in request:
            device_request(request["exactly"])
        for alternative in request.get("firstAvailable", ()):
            device_request(alternative)


def device_request(request: Object) -> None:
    """One way to satisfy a request."""
    mode = request.setdefault("allocationMode", "ExactCount")
    if mode == "ExactCount":
        request.setdefault("count", 1)
    for toleration in request.get("tolerations", ()):
        toleration.setdefault("operator", "Equal")
