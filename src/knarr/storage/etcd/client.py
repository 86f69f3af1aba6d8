"""Calls to etcd over gRPC: one connection to each endpoint that is used, and the next one when one fails.

A request that was never sent is tried elsewhere until `PATIENCE` is over; so is one that only reads. A write whose
answer was lost is not sent again: it may have happened, and its guard would then refuse our own success.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import grpc
from grpc import StatusCode, aio

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
_NEEDS_LEADER = (("hasleader", "true"),)
#: What may pass when asked again, perhaps elsewhere.
_PASSING = frozenset(
    {
        StatusCode.UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.UNKNOWN,
        StatusCode.CANCELLED,
        StatusCode.INTERNAL,
    }
)
_OPTIONS = (
    # A peer that vanished without a word is noticed by pings; etcd takes one in five seconds at most.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # What is tried again, and where, is for us to decide.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)
Channel: TypeAlias = Any


class RefusedError(StoreError):
    """etcd refused a request; `past` is set when that is because it has forgotten what was asked for."""

    def __init__(self, status: StatusCode, message: str) -> None:
        super().__init__(message)
        self.past = status is StatusCode.OUT_OF_RANGE and "compacted" in message


class Client:
    """Calls by path, request message and response message."""

    def __init__(self, endpoints: Sequence[Endpoint], tls: TlsFiles) -> None:
        """Raises `OSError` for TLS files that cannot be read."""
        self._endpoints = list(endpoints)
        self._credentials = _credentials(tls) if any(endpoint.tls for endpoint in endpoints) else None
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
        call = channel.stream_stream("/etcdserverpb.Watch/Watch")(metadata=_NEEDS_LEADER)
        try:
            await call.write(CODEC.encode("WatchRequest", {"create_request": create}))
            while (data := await call.read()) is not aio.EOF:
                yield CODEC.decode("WatchResponse", data)
        except aio.AioRpcError as error:
            self._leave(place)
            raise StoreUnavailableError(f"the watch ended: {_reason(error)}") from error
        finally:
            call.cancel()

    async def close(self) -> None:
        """Close all connections."""
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    async def _call(self, path: str, request: str, message: Message, response: str, *, repeats: bool) -> Message:
        until = asyncio.get_running_loop().time() + PATIENCE
        body = CODEC.encode(request, message)
        while True:
            place, channel = await self._connected(until)
            try:
                return CODEC.decode(response, await channel.unary_unary(path)(body, timeout=_ANSWER))
            except aio.AioRpcError as error:
                if error.code() not in _PASSING:
                    raise RefusedError(error.code(), _reason(error)) from error
                why = _reason(error)
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
            if await _connects(channel):
                return place, channel
            self._leave(place)
            failures += 1
            if asyncio.get_running_loop().time() >= until:
                self.trouble = f"{self._endpoints[place]}: {await _why_not(channel)}"
                raise StoreUnavailableError(f"etcd is not reachable: {self.trouble}")
            if failures % len(self._endpoints) == 0:
                await asyncio.sleep(_PAUSE)

    def _open(self, place: int) -> Channel:
        endpoint = self._endpoints[place]
        target = f"unix:{endpoint.path}" if endpoint.path else f"dns:///{endpoint.authority}"
        if endpoint.tls:
            channel = aio.secure_channel(target, self._credentials, options=_OPTIONS)
        else:
            channel = aio.insecure_channel(target, options=_OPTIONS)
        self._channels[place] = channel
        return channel

    def _leave(self, place: int) -> None:
        """Use the next endpoint from now on, unless somebody has moved on already."""
        if self._current == place:
            self._current = (place + 1) % len(self._endpoints)


def _credentials(tls: TlsFiles) -> Any:
    authority, certificate, key = tls.read()
    return grpc.ssl_channel_credentials(authority, key, certificate)


async def _connects(channel: Channel) -> bool:
    """Whether a connection stands, or comes to stand now."""
    state = channel.get_state(try_to_connect=True)
    if state is grpc.ChannelConnectivity.READY:
        return True
    try:
        async with asyncio.timeout(_CONNECT):
            while state is not grpc.ChannelConnectivity.READY:
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    return False
    except TimeoutError:
        return False
    return True


async def _why_not(channel: Channel) -> str:
    """Why a connection does not stand: only a call is told."""
    try:
        await channel.unary_unary("/etcdserverpb.Maintenance/Status")(b"", timeout=_CONNECT)
    except aio.AioRpcError as error:
        return _reason(error)
    return "no answer"


def _reason(error: aio.AioRpcError) -> str:
    return error.details() or str(error.code().name)
