"""Hears from the runtime when containers end, and looks at all of them whenever something may have been missed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.cri.runtime import CriError, RuntimeService

_log = logs.get("kubelet.runtime_watch")
#: Seconds between looks at everything, beside what is pushed.
RELIST = 60.0
#: Seconds before the events of a runtime that was away are asked for again.
_PAUSE = 0.5


class RuntimeWatch:
    """`ended(id)` hears of each end, `relist()` compares everything."""

    def __init__(
        self,
        runtime: RuntimeService,
        clock: Clock,
        ended: Callable[[str], Awaitable[None]],
        relist: Callable[[], Awaitable[None]],
    ) -> None:
        self._runtime, self._clock = runtime, clock
        self._ended, self._relist = ended, relist

    async def follow(self) -> None:
        """Follow the events, for ever."""
        while True:
            try:
                async for event in self._runtime.events():
                    if event.kind == "exit":
                        await self._ended(event.container_id)
            except CriError as error:
                _log.warning("events broke off", error=error)
            await self._clock.sleep(_PAUSE)
            await self._look()

    async def look_now_and_then(self) -> None:
        """Compare everything every minute, for ever."""
        while True:
            await self._clock.sleep(RELIST)
            await self._look()

    async def _look(self) -> None:
        try:
            await self._relist()
        except CriError as error:
            _log.warning("containers not compared", error=error)
