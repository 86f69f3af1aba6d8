"""Calls to etcd over gRPC: one connection to each endpoint that is used, and the next one when one fails.

A request that was never sent is tried elsewhere until `PATIENCE` is over; so is one that only reads. A write whose
answer was lost is not sent again: it may have happened, and its guard would then refuse our own success.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError, StreamTerminatedError

from knarr.storage.etcd.endpoints import Endpoint, TlsFiles
from knarr.storage.etcd.messages import CODEC
from knarr.storage.store import StoreError, StoreUnavailableError
from knarr.wire.messages import Message

#: Seconds that a request looks for a member that answers.
PATIENCE = 5.0
#: Seconds for a connection, and for an answer.
_CONNECT, _ANSWER = 2.0, 10.0
_PAUSE = 0.1
#: A member without a leader ends its watches instead of keeping silent.
_NEEDS_LEADER = {"hasleader": "true"}
#: What may pass when asked again, perhaps elsewhere.
_PASSING = frozenset({Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED, Status.UNKNOWN, Status.CANCELLED, Status.INTERNAL})


class RefusedError(StoreError):
    """etcd refused a request; `status` is gRPC's."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Bytes(CodecBase):
    """The library's codec slot; encoding happens in `Client`."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


class Client:
    """Calls by path, request message and response message."""

    def __init__(self, endpoints: Sequence[Endpoint], tls: TlsFiles) -> None:
        """Raises `OSError` for TLS files that cannot be used."""
        self._endpoints = list(endpoints)
        self._context = tls.context() if any(endpoint.tls for endpoint in endpoints) else None
        self._channels: dict[int, Channel] = {}
        self._current = 0
        #: What went wrong last.
        self.trouble = ""

    async def read(self, path: str, request: str, message: Message, response: str) -> Message:
        """A request that may be repeated. Raises `StoreUnavailableError`, `RefusedError`."""
        return await self._call(path, request, message, response, repeats=True)

    async def write(self, path: str, request: str, message: Message, response: str) -> Message:
        """A request that is carried out once at most. Raises `StoreUnavailableError` when its fate is unknown too."""
        return await self._call(path, request, message, response, repeats=False)

    async def watch(self, create: Message) -> AsyncIterator[Message]:
        """The responses of one watch, until it or the connection ends. Raises as `read`."""
        place, channel = await self._connected(asyncio.get_running_loop().time() + PATIENCE)
        method: StreamStreamMethod[bytes, bytes] = StreamStreamMethod(
            channel, "/etcdserverpb.Watch/Watch", bytes, bytes
        )
        try:
            async with method.open(metadata=_NEEDS_LEADER) as stream:
                await stream.send_message(CODEC.encode("WatchRequest", {"create_request": create}))
                async for data in stream:
                    yield CODEC.decode("WatchResponse", data)
        except GRPCError as error:
            self._leave(place)
            raise StoreUnavailableError(f"the watch ended: {error.message}") from error
        except (OSError, StreamTerminatedError) as error:
            self._leave(place)
            raise StoreUnavailableError(f"the watch ended: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()
        await asyncio.sleep(0)

    async def _call(self, path: str, request: str, message: Message, response: str, *, repeats: bool) -> Message:
        until = asyncio.get_running_loop().time() + PATIENCE
        body = CODEC.encode(request, message)
        while True:
            place, channel = await self._connected(until)
            method: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(channel, path, bytes, bytes)
            try:
                data = await method(body, timeout=_ANSWER)
                return CODEC.decode(response, data or b"")
            except GRPCError as error:
                if error.status not in _PASSING:
                    raise RefusedError(error.status, error.message or error.status.name) from error
                why = error.message or error.status.name
            except (OSError, StreamTerminatedError) as error:
                why = str(error) or type(error).__name__
            self._leave(place)
            self.trouble = f"{self._endpoints[place]}: {why}"
            if not repeats or asyncio.get_running_loop().time() >= until:
                raise StoreUnavailableError(self.trouble)
            await asyncio.sleep(_PAUSE)

    async def _connected(self, until: float) -> tuple[int, Channel]:
        """A connection that stands, to the current endpoint or another. Raises `StoreUnavailableError`."""
        failures = 0
        while True:
            place = self._current
            channel = self._channels.get(place) or self._open(place)
            try:
                async with asyncio.timeout(_CONNECT):
                    await channel.__connect__()
                return place, channel
            except OSError as error:
                # A TimeoutError is one too.
                self.trouble = f"{self._endpoints[place]}: {error.strerror or error or 'no answer'}"
            self._leave(place)
            failures += 1
            if asyncio.get_running_loop().time() >= until:
                raise StoreUnavailableError(f"etcd is not reachable: {self.trouble}")
            if failures % len(self._endpoints) == 0:
                await asyncio.sleep(_PAUSE)

    def _open(self, place: int) -> Channel:
        endpoint = self._endpoints[place]
        # A peer that vanished without a word is noticed by pings; etcd takes one in five seconds at most.
        config = Configuration(
            _keepalive_time=10.0,
            _keepalive_timeout=5.0,
            _keepalive_permit_without_calls=True,
            _http2_max_pings_without_data=0,
            _http2_min_sent_ping_interval_without_data=5.0,
            http2_connection_window_size=16 << 20,
            http2_stream_window_size=8 << 20,
        )
        if endpoint.path:
            channel = Channel(path=endpoint.path, codec=_Bytes(), config=config)
        else:
            context = self._context if endpoint.tls else None
            channel = Channel(endpoint.host, endpoint.port, codec=_Bytes(), ssl=context, config=config)
        self._channels[place] = channel
        return channel

    def _leave(self, place: int) -> None:
        """Use the next endpoint from now on, unless somebody has moved on already."""
        if self._current == place:
            self._current = (place + 1) % len(self._endpoints)
