"""Questions to webhooks that a kubeconfig names: a review is posted, its answer comes back.

Nothing here trusts the other side: answers are bounded in time and size, and what is no JSON object is an error.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from knarr.apimachinery.types import Object
from knarr.client.http import HttpTransport, Stream
from knarr.component_base import kubeconfig
from knarr.component_base.clock import Clock
from knarr.component_base.kubeconfig import Access

#: Bytes of an answer that are read.
_LARGEST = 4 << 20
#: A failed call is repeated so many times, after so many seconds, each time half as many again.
_ATTEMPTS, _PAUSE, _FACTOR = 5, 0.5, 1.5


class OutsideError(Exception):
    """There is no answer; the text says why."""


class Webhook:
    """One webhook. `timeout` in seconds, all attempts together."""

    def __init__(self, access: Access, clock: Clock, timeout: float = 30.0) -> None:
        """Raises `ValueError` for an address or certificates that are no use."""
        self._transport = HttpTransport(access, "kube-apiserver")
        self._path = "" if urlsplit(access.server).path.strip("/") else "/"
        self._clock = clock
        self._timeout = timeout

    @classmethod
    def named_by(cls, path: Path, clock: Clock, timeout: float = 30.0) -> Webhook:
        """The webhook that a kubeconfig's current context names. Raises `ValueError`, `OSError`."""
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        return cls(kubeconfig.load(path), clock, timeout)

    async def review(self, body: Object) -> Object:
        """The answer to a review. Raises `OutsideError`."""
        data = orjson.dumps(body)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._until_answered(data)
        except TimeoutError as error:
            raise OutsideError("context deadline exceeded") from error

    async def _until_answered(self, data: bytes) -> Object:
        pause = _PAUSE
        for _ in range(_ATTEMPTS - 1):
            try:
                status, content = await self._post(data)
            except ConnectionError:
                status, content = 0, b""
            if status not in (0, 429) and status < 500:
                return _decoded(status, content)
            await self._clock.sleep(pause)
            pause *= _FACTOR
        try:
            return _decoded(*await self._post(data))
        except ConnectionError as error:
            raise OutsideError(str(error)) from error

    async def _post(self, data: bytes) -> tuple[int, bytes]:
        return await _whole(await self._transport.stream("POST", self._path, {}, data))

    async def close(self) -> None:
        """Cut its connections."""
        await self._transport.close()


async def fetch(url: str, authority: bytes, timeout: float = 30.0) -> bytes:
    """What is at an address, whose server's certificate is of `authority` (PEM; empty: the system's).

    Raises `OutsideError`.
    """
    parts = urlsplit(url)
    try:
        transport = HttpTransport(Access(f"{parts.scheme}://{parts.netloc}", authority), "kube-apiserver")
    except ValueError as error:
        raise OutsideError(str(error)) from error
    try:
        async with asyncio.timeout(timeout):
            stream = await transport.stream("GET", parts.path or "/", dict(parse_qsl(parts.query)))
            status, content = await _whole(stream)
    except (ConnectionError, TimeoutError) as error:
        raise OutsideError(f'Get "{url}": {str(error) or "context deadline exceeded"}') from error
    finally:
        await transport.close()
    if status != 200:
        raise OutsideError(f'Get "{url}": {status}')
    return content


async def _whole(stream: Stream) -> tuple[int, bytes]:
    """Status and body. Raises `OutsideError` for a body that is too large, `ConnectionError`."""
    content, size = [], 0
    try:
        async for chunk in stream:
            size += len(chunk)
            if size > _LARGEST:
                raise OutsideError(f"the answer is larger than {_LARGEST} bytes")
            content.append(chunk)
    finally:
        await stream.aclose()
    return stream.status, b"".join(content)


def _decoded(status: int, content: bytes) -> Object:
    if not 200 <= status < 300:
        raise OutsideError(f"the webhook answered {status}")
    try:
        found: Any = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise OutsideError(f"the webhook's answer is no JSON: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("status") or {}, dict):
        raise OutsideError("the webhook's answer is no review")
    return found
