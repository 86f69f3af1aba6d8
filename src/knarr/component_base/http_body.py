"""The body of a request that is handed over as it comes in, for what passes it on (proxies)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from knarr.component_base.http_limits import HIGH_WATER


class BodyStream:
    """Pieces of a body. `hold(True)` is called when too much waits, `hold(False)` once there is room again."""

    def __init__(self, hold: Callable[[bool], None]) -> None:
        self.complete = False
        self._hold = hold
        self._held = False
        self._broken = False
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()

    def feed(self, piece: bytes) -> None:
        """A piece came in."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER and not self._held:
            self._held = True
            self._hold(True)
        self._news.set()

    def finish(self) -> None:
        """The body is complete."""
        self.complete = True
        self._news.set()

    def fail(self) -> None:
        """The connection broke before the body was complete."""
        self._broken = not self.complete
        self._news.set()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece. Raises `ConnectionResetError` when the body breaks off."""
        while not self._pieces:
            if self.complete:
                raise StopAsyncIteration
            if self._broken:
                raise ConnectionResetError("the client closed the connection in the middle of its request")
            self._news.clear()
            await self._news.wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._held and self._size < HIGH_WATER // 2:
            self._held = False
            self._hold(False)
        return piece


async def close_iterator(body: AsyncIterator[bytes]) -> None:
    """Let an iterator that nobody reads any more give back what it holds."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
