"""Two byte streams joined: what comes out of one goes into the other, no faster than it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from knarr.component_base.http import RawStream
from knarr.component_base.tasks import Tasks


async def join(first: RawStream, second: RawStream) -> None:
    """Carry bytes both ways until one side ends, then close both."""
    try:
        await until_one_ends(copy(first, second), copy(second, first))
    finally:
        first.close()
        second.close()


async def copy(source: RawStream, target: RawStream) -> None:
    """Carry bytes one way to the end of `source`. A connection that breaks is an end too."""
    try:
        while data := await source.read():
            target.write(data)
            await target.drain()
    except ConnectionError:
        return


async def until_one_ends(*directions: Coroutine[Any, Any, None]) -> None:
    """Run the directions of one exchange until the first ends; the others are cancelled. Raises what it raised."""
    tasks = Tasks()
    try:
        running = [tasks.start(direction, "stream-direction") for direction in directions]
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await tasks.close()
    for task in done:
        task.result()
