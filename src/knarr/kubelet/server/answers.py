"""The plain answers of the kubelet's API."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.component_base.http import Response


class Refused(Exception):
    """A request that cannot be served: an HTTP status and a plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def text(body: str, status: int = 200) -> Response:
    """Plain text."""
    return Response(status, body.encode(), "text/plain; charset=utf-8")


def json(body: Any) -> Response:
    """JSON."""
    return Response(200, orjson.dumps(body), "application/json")
