"""Names that one worker looks at, one after the other, each once however often it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from knarr.apimachinery.errors import StatusError


class Worklist:
    """What is to be looked at, by `look`. Where it raises `StatusError`, the name is wanted again."""

    def __init__(self, look: Callable[[str], Awaitable[None]]) -> None:
        self._look = look
        self._waiting: dict[str, None] = {}
        self._news = asyncio.Event()

    def want(self, name: str) -> None:
        """Have a name looked at, after those that were wanted before."""
        self._waiting[name] = None
        self._news.set()

    async def work(self) -> None:
        """Look at what is wanted, for ever; ends with what `look` raises."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                name = next(iter(self._waiting))
                del self._waiting[name]
                try:
                    await self._look(name)
                except StatusError:
                    self.want(name)
                    raise
