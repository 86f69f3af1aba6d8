"""Work that expressions make: what is cheap is done at once, the rest in a thread while others are served.

One thread at a time: however many requests bring dear work, the event loop shares the interpreter with one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from knarr.apiserver.policies.evaluation import TooDearError

T = TypeVar("T")
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def done(work: Callable[..., T], *given: Any) -> T:
    """What comes of the work, which takes `quick` and raises `TooDearError` where it would take too long then."""
    try:
        return work(*given, quick=True)
    except TooDearError:
        async with _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            return await asyncio.to_thread(work, *given, quick=False)
