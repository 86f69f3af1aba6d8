"""The transport: how a `Client` reaches an API server. `http` goes over TLS, `local` calls the same pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple, Protocol


class Answer(NamedTuple):
    """One answer: HTTP status, headers in lower case, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Sends requests as one identity."""

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        """Send one request and wait for the whole answer, whatever its status.

        Raises `ConnectionError` when no answer came (the request may or may not have been carried out).
        """
        ...

    def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Open a watch and yield its lines, one JSON watch event each, without the newline.

        Ends when the server closes the stream. Raises `StatusError` for an answer other than 200 and
        `ConnectionError` when the connection breaks.
        """
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...
