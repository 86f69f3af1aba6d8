"""Turns an answer that reports a failure into the error it stands for."""

from __future__ import annotations

import orjson

from knarr.apimachinery.errors import StatusError, from_status


def failure(status: int, body: bytes) -> StatusError:
    """The error of an answer with an HTTP status of 400 or more: its `Status` body, or its text as it stands."""
    try:
        decoded = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        decoded = None
    if isinstance(decoded, dict) and decoded.get("message"):
        decoded.setdefault("code", status)
        return from_status(decoded)
    return StatusError(status, "", body.decode(errors="replace").strip() or f"the server answered {status}")
