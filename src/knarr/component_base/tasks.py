"""Supervised tasks: every background coroutine has an owner, a name, and an end that somebody sees."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from knarr.component_base import logs

_log = logs.get("tasks")


class Tasks:
    """The background tasks of one owner. `close` cancels them all and waits for their end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a coroutine in the background; an exception it ends with is logged."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def forever(
        self, run: Callable[[], Awaitable[None]], name: str, *, pause: float = 0.1, longest: float = 5.0
    ) -> asyncio.Task[Any]:
        """Run `run()` again whenever it ends or fails, waiting `pause` seconds, doubled up to `longest`."""
        return self.start(_again(run, name, pause, longest), name)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task failed", task=task.get_name(), error=error)

    async def close(self) -> None:
        """Cancel every task and wait until each has ended."""
        pending = list(self._tasks)
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.gather(*pending, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)


async def _again(run: Callable[[], Awaitable[None]], name: str, pause: float, longest: float) -> None:
    loop = asyncio.get_running_loop()
    wait = pause
    while True:
        began = loop.time()
        try:
            await run()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a supervisor is the one place that catches everything
            _log.warning("restarting", task=name, error=error)
        wait = pause if loop.time() - began > longest * 2 else min(wait * 2, longest)
        await asyncio.sleep(wait)
