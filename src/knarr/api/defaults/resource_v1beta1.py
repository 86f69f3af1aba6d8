"""Defaults of resource.k8s.io/v1beta1, where a request says itself what v1 says in `exactly`."""

from __future__ import annotations

from knarr.api.defaults import resource_v1
from knarr.apimachinery.types import Object


def resource_claim(obj: Object) -> None:
    """How many devices each request asks for."""
    _claim_spec(obj["spec"])


def resource_claim_template(obj: Object) -> None:
    """The same of the template."""
    _claim_spec(obj["spec"]["spec"])


def _claim_spec(spec: Object) -> None:
    for request in spec["devices"].get("requests") or ():
        alternatives = request.get("firstAvailable", ())
        for item in alternatives or [request]:
            resource_v1.device_request(item)
