"""Defaults of certificates.k8s.io/v1beta1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def pod_certificate_request(obj: Object) -> None:
    """A day at most."""
    obj["spec"].setdefault("maxExpirationSeconds", 86400)
