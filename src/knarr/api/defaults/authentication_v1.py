"""Defaults of authentication.k8s.io/v1."""

from __future__ import annotations

from knarr.apimachinery.types import Object


def token_request(obj: Object) -> None:
    """An hour."""
    obj["spec"].setdefault("expirationSeconds", 3600)
