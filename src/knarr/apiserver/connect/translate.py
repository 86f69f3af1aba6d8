"""Channels of a v5 WebSocket, translated to the SPDY streams that kubelets understand, and back (KEP-4006).

Each direction waits for its receiver, so no more than a few buffers are held of however much flows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import orjson

from knarr.apimachinery.errors import StatusError, internal
from knarr.apimachinery.types import Object
from knarr.apiserver.connect.options import ExecOptions
from knarr.component_base.http import RawStream
from knarr.component_base.http_client import Incoming
from knarr.component_base.tunnel import until_one_ends
from knarr.wire import channels, spdy
from knarr.wire.channels import ERROR, RESIZE, STDERR, STDIN, STDOUT, ChannelClosed, ChannelError, Channels
from knarr.wire.spdy import Spdy
from knarr.wire.websocket import PROTOCOL_ERROR, Closed, ProtocolError, WebSocket

#: What a kubelet may choose from, the best first; since v4 errors are a `Status`.
STREAM_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
_NAMES = {ERROR: "error", STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", RESIZE: "resize"}
#: Bytes of an error stream that are kept.
_LONGEST_ERROR = 64 * 1024
#: Seconds a kubelet may take to accept the streams.
_ACCEPT = 30.0
_REFUSAL = 64 * 1024

Open: TypeAlias = Callable[[], Awaitable[Incoming]]


async def run(client: RawStream, wanted: ExecOptions, open_kubelet: Open) -> None:
    """Run one exec or attach over an accepted WebSocket to its end; closes the stream.

    `open_kubelet` sends the SPDY request. What fails is told on the error channel, as a `Status`.
    """
    front = _Front(client, wanted)
    try:
        outcome = await _outcome(front, wanted, open_kubelet)
        if outcome is not None:
            front.send(ERROR, outcome)
            front.close()
            await front.finish()
    finally:
        front.close()
        client.close()


async def _outcome(front: _Front, wanted: ExecOptions, open_kubelet: Open) -> bytes | None:
    """The `Status` to end with; None when the client has gone."""
    try:
        answer = await open_kubelet()
    except StatusError as error:
        return orjson.dumps(error.status())
    try:
        if answer.status != 101:
            text = (await answer.read(_REFUSAL)).decode(errors="replace")
            return orjson.dumps(internal(f"unable to upgrade connection: {_plain(text)}").status())
        back = _Back(answer.connection, answer.header("x-stream-protocol-version"))
        return await _exchange(front, back, wanted)
    finally:
        await answer.aclose()


def _plain(text: str) -> str:
    """A refusal's words: the message of a `Status`, or the text itself."""
    try:
        decoded = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.strip()
    return str(decoded["message"]) if isinstance(decoded, dict) and decoded.get("message") else text.strip()


async def _exchange(front: _Front, back: _Back, wanted: ExecOptions) -> bytes | None:
    try:
        async with asyncio.timeout(_ACCEPT):
            await back.open(wanted)
    except TimeoutError:
        return orjson.dumps(internal("timed out waiting for the kubelet to accept streams").status())
    except (ConnectionError, spdy.ProtocolError) as error:
        return orjson.dumps(internal(str(error)).status())
    front.greet()
    await until_one_ends(_inwards(front, back), _outwards(back, front))
    return back.outcome if back.done or not front.gone else None


async def _inwards(front: _Front, back: _Back) -> None:
    """Carry what the client sends to the kubelet, to the client's end."""
    while (events := await front.receive()) is not None:
        for event in events:
            if isinstance(event, ChannelClosed):
                back.end(event.channel)
            else:
                back.send(event.channel, event.payload)
        await back.drain()


async def _outwards(back: _Back, front: _Front) -> None:
    """Carry what the kubelet sends to the client, until every stream has ended."""
    while not back.done and not front.gone:
        for channel, payload in await back.receive():
            front.send(channel, payload)
        await front.drain()


class _Front:
    """The client's side: a WebSocket with channels."""

    def __init__(self, stream: RawStream, wanted: ExecOptions) -> None:
        self.gone = False
        self._stream = stream
        self._socket = WebSocket(client=False)
        self._channels = Channels(channels.V5)
        self._first = STDOUT if wanted.stdout else STDERR if wanted.stderr else ERROR

    def greet(self) -> None:
        """Tell the client, by an empty message, that the streams stand."""
        self.send(self._first, b"")

    async def receive(self) -> list[channels.Event] | None:
        """What the client sent next; None when it has gone or broken the protocol."""
        data = await self._stream.read()
        try:
            pieces = self._socket.receive(data)
            out: list[channels.Event] = []
            for piece in pieces:
                if isinstance(piece, Closed):
                    self.gone = True
                    return None
                out += self._channels.decode(piece)
        except ProtocolError:
            self.gone = True
            return None
        except ChannelError as error:
            self._socket.close(PROTOCOL_ERROR, str(error))
            self.gone = True
            return None
        self._flush()
        if not data:
            self.gone = True
            return None
        return out

    def send(self, channel: int, payload: bytes) -> None:
        self._socket.send(self._channels.encode(channel, payload))
        self._flush()

    async def drain(self) -> None:
        try:
            await self._stream.drain()
        except ConnectionError:
            self.gone = True

    async def finish(self) -> None:
        """Wait for the client's answer to our close, so that nothing sent is lost by a reset."""
        try:
            async with asyncio.timeout(1.0):
                while await self._stream.read():
                    pass
        except TimeoutError:
            return

    def close(self) -> None:
        self._socket.close()
        self._flush()

    def _flush(self) -> None:
        self._stream.write(self._socket.take())


class _Back:
    """The kubelet's side: a SPDY connection with one stream a channel."""

    def __init__(self, connection: RawStream, protocol: str) -> None:
        self.done = False
        self._connection = connection
        self._has_status = protocol == STREAM_PROTOCOLS[0]
        self._spdy = Spdy(client=True)
        self._streams: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        self._open: set[int] = set()
        self._error = b""
        self._lost = ""
        self._early: list[tuple[int, bytes]] = []

    async def open(self, wanted: ExecOptions) -> None:
        """Open a stream for each channel and wait until the kubelet has taken them. Raises `ConnectionError`."""
        stderr = wanted.stderr and not wanted.tty
        flags = [(STDIN, wanted.stdin), (STDOUT, wanted.stdout), (STDERR, stderr), (RESIZE, wanted.tty)]
        for channel in (ERROR, *(channel for channel, there in flags if there)):
            stream = self._spdy.open({"streamtype": (_NAMES[channel],)})
            self._streams[channel] = stream
            self._channels[stream] = channel
        self._open = {channel for channel in (ERROR, STDOUT, STDERR) if channel in self._streams}
        self._flush()
        waiting = set(self._channels)
        while waiting and not self.done:
            for event in await self._events():
                if isinstance(event, spdy.StreamReplied):
                    waiting.discard(event.stream)
                else:
                    self._early += self._take(event)
        if waiting and not self._error:
            raise ConnectionError(self._lost or "the kubelet refused a stream")

    async def receive(self) -> list[tuple[int, bytes]]:
        """Channels with their bytes as they come in; `done` once all have ended."""
        early, self._early = self._early, []
        if early:
            return early
        return [pair for event in await self._events() for pair in self._take(event)]

    def send(self, channel: int, payload: bytes) -> None:
        """Send a client's bytes; those of channels it has no say on are dropped, as the kubelet would."""
        stream = self._streams.get(channel, 0)
        if channel in (STDIN, RESIZE) and payload and self._spdy.writable(stream):
            self._spdy.data(stream, payload)
            self._flush()

    def end(self, channel: int) -> None:
        """Close a channel towards the kubelet."""
        stream = self._streams.get(channel, 0)
        if channel in (STDIN, RESIZE) and self._spdy.writable(stream):
            self._spdy.data(stream, b"", end=True)
            self._flush()

    async def drain(self) -> None:
        # A connection that broke is noticed, and told, where it is read.
        with contextlib.suppress(ConnectionError):
            await self._connection.drain()

    @property
    def outcome(self) -> bytes:
        """The `Status` that the kubelet's error stream stands for."""
        if not self._error and self._lost:
            return orjson.dumps(internal(self._lost).status())
        if not self._error:
            success: Object = {"metadata": {}, "status": "Success"}
            return orjson.dumps(success)
        if self._has_status:
            return self._error
        text = self._error.decode(errors="replace")
        return orjson.dumps(internal(f"error executing remote command: {text}").status())

    async def _events(self) -> list[spdy.Event]:
        try:
            data = await self._connection.read()
            events = self._spdy.receive(data)
        except (ConnectionError, spdy.ProtocolError) as error:
            self._lose(str(error))
            return []
        self._flush()
        if not data:
            self._lose("unexpected EOF from the kubelet")
        return events

    def _take(self, event: spdy.Event) -> list[tuple[int, bytes]]:
        if isinstance(event, spdy.StreamReset):
            self._ended(self._channels.get(event.stream, -1))
            return []
        if not isinstance(event, spdy.Data) or event.stream not in self._channels:
            return []
        channel = self._channels[event.stream]
        if event.end:
            self._ended(channel)
        if channel != ERROR:
            return [(channel, event.payload)] if event.payload else []
        self._error = (self._error + event.payload)[:_LONGEST_ERROR]
        return []

    def _ended(self, channel: int) -> None:
        self._open.discard(channel)
        self.done |= not self._open

    def _lose(self, why: str) -> None:
        self.done, self._lost = True, why

    def _flush(self) -> None:
        self._connection.write(self._spdy.take())
