"""The connection after an upgrade: bytes both ways, with back-pressure, and no HTTP any more."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from knarr.component_base.http_limits import HIGH_WATER


class Upgradable(Protocol):
    """What a stream needs of its connection."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport while the connection lives."""
        ...

    async def drain(self) -> None:
        """See `RawStream`."""
        """Wait until the peer has taken enough. Raises `ConnectionResetError` when it is gone."""
        ...


class UpgradedStream:
    """The `RawStream` of an upgraded connection."""

    def __init__(self, connection: Upgradable, first: bytes) -> None:
        self._connection = connection
        self._chunks: deque[bytes] = deque([first] if first else [])
        self._size = len(first)
        self._ended = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Bytes came in; none at the end."""
        if data:
            self._chunks.append(data)
            self._size += len(data)
            transport = self._connection.transport
            if self._size > HIGH_WATER and not self._paused and transport is not None:
                transport.pause_reading()
                self._paused = True
        else:
            self._ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """See `RawStream`."""
        while not self._chunks:
            if self._ended or self._connection.transport is None:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = self._chunks.popleft()
        self._size -= len(data)
        transport = self._connection.transport
        if self._paused and self._size < HIGH_WATER // 2 and transport is not None:
            self._paused = False
            transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """See `RawStream`."""
        if self._connection.transport is not None:
            self._connection.transport.write(data)

    async def drain(self) -> None:
        """See `RawStream`."""
        await self._connection.drain()

    def close(self) -> None:
        """See `RawStream`."""
        if self._connection.transport is not None:
            self._connection.transport.close()
