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
            _request(request["exactly"])
        for alternative in request.get("firstAvailable", ()):
            _request(alternative)


def _request(request: Object) -> None:
    mode = request.setdefault("allocationMode", "ExactCount")
    if mode == "ExactCount":
        request.setdefault("count", 1)
    for toleration in request.get("tolerations", ()):
        toleration.setdefault("operator", "Equal")
