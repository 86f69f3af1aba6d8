"""Measures how long an API server takes, by wrapping a transport."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping

from knarr.client.transport import Answer, Transport
from knarr.component_base.clock import Clock

#: The newest requests by which latency is told.
_NEWEST = 2000


class MeasuredTransport:
    """Passes everything on to `inner` and keeps the seconds of the newest requests."""

    def __init__(self, inner: Transport, clock: Clock) -> None:
        self._inner, self._clock = inner, clock
        self._seconds: deque[float] = deque(maxlen=_NEWEST)
        self.requests = 0
        self.slowest = 0.0

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        """See `Transport.request`."""
        began = self._clock.monotonic()
        try:
            return await self._inner.request(method, path, query, body, content_type)
        finally:
            seconds = self._clock.monotonic() - began
            self._seconds.append(seconds)
            self.slowest = max(self.slowest, seconds)
            self.requests += 1

    def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """See `Transport.watch`."""
        return self._inner.watch(path, query)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._inner.close()

    def quantile(self, share: float) -> float:
        """The seconds within which this share of the newest requests was answered; 0 before the first."""
        ordered = sorted(self._seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
