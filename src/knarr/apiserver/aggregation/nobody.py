"""No other API servers: what documents are made with where nothing is aggregated."""

from __future__ import annotations

from knarr.apiserver.aggregation.documents import Other
from knarr.apiserver.aggregation.openapi import Part
from knarr.apiserver.request import Request, Response


class Nobody:
    """There are no other servers."""

    generation = 0

    def others(self) -> list[Other]:
        """Nothing."""
        return []

    def openapi_v3(self) -> dict[str, str]:
        """Nothing."""
        return {}

    def openapi_v2(self) -> list[Part]:
        """Nothing."""
        return []

    async def document(self, _request: Request, _name: str) -> Response | None:
        """Nothing."""
        return None
