"""How long a request may take: what it asks for, up to the server's limit; watches and streams as long as they like.

Source of the rules: k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go, pkg/server/filters/timeout.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from knarr.apimachinery import durations
from knarr.apimachinery.errors import StatusError, bad_request
from knarr.apiserver.request import Request, RequestInfo, Response

#: Seconds; kube-apiserver's `--request-timeout`.
REQUEST_TIMEOUT = 60.0
#: Seconds between two looks for requests that are past the server's limit.
_SWEEP = 1.0
_LONG_VERBS = frozenset({"watch", "proxy"})
_LONG_PARTS = frozenset({"attach", "exec", "proxy", "log", "portforward"})


class Deadlines:
    """Ends requests that have reached the server's limit.

    One sweep now and then costs less than a timer for each request.
    """

    def __init__(self, seconds: float = REQUEST_TIMEOUT, sweep: float = _SWEEP) -> None:
        self._seconds, self._sweep = seconds, sweep
        #: What runs, and since when, oldest first.
        self._running: dict[_Running, float] = {}
        self._sweeping = False

    async def keep(self, answer: Awaitable[Response]) -> Response:
        """Wait for an answer. Raises `StatusError` 504 when the time is over."""
        loop = asyncio.get_running_loop()
        this = _Running(asyncio.current_task())
        self._running[this] = loop.time()
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self._sweep, self._look, loop)
        try:
            return await answer
        except asyncio.CancelledError as error:
            if this.ended():
                raise exceeded() from error
            raise
        finally:
            del self._running[this]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        limit = loop.time() - self._seconds
        for running, since in self._running.items():
            if since > limit:
                break
            running.end()
        self._sweeping = bool(self._running)
        if self._sweeping:
            loop.call_later(self._sweep, self._look, loop)


class _Running:
    """One request that is being answered."""

    __slots__ = ("_before", "_over", "_task")

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        if task is None:
            raise RuntimeError("requests are answered in tasks")
        self._task = task
        self._before = task.cancelling()
        self._over = False

    def end(self) -> None:
        """Its time is over."""
        if not self._over:
            self._over = True
            self._task.cancel()

    def ended(self) -> bool:
        """Whether it was cancelled for that alone."""
        return self._over and self._task.uncancel() <= self._before


async def keep_within(seconds: float, answer: Awaitable[Response]) -> Response:
    """Wait for an answer for a time of its own. Raises `StatusError` 504."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await answer
    except TimeoutError as error:
        if limit.expired():
            raise exceeded() from error
        raise


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request has no deadline."""
    return info.is_resource and (info.verb in _LONG_VERBS or info.subresource in _LONG_PARTS)


def seconds(request: Request, info: RequestInfo) -> float | None:
    """How long the request may take; None: without limit. Raises `StatusError` 400 for a timeout that is none."""
    if is_long_running(info):
        return None
    text = request.query.get("timeout", "")
    if not text:
        return REQUEST_TIMEOUT
    try:
        wanted = durations.parse(text)
    except ValueError as error:
        raise bad_request(f"invalid timeout specified in the request URL - {error}") from error
    return wanted if 0 < wanted < REQUEST_TIMEOUT else REQUEST_TIMEOUT


def exceeded() -> StatusError:
    """504: the time is over."""
    return StatusError(504, "Timeout", "Timeout: request did not complete within the allotted timeout", {})
