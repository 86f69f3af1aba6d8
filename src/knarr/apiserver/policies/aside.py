"""Work that expressions make: what is cheap is done at once, the rest in a thread while others are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from knarr.apiserver.policies.evaluation import TooDearError

T = TypeVar("T")


async def done(work: Callable[..., T], *given: Any) -> T:
    """What comes of the work, which takes `quick` and raises `TooDearError` where it would take too long then."""
    try:
        return work(*given, quick=True)
    except TooDearError:
        return await asyncio.to_thread(work, *given, quick=False)
