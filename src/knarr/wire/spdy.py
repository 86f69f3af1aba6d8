"""SPDY/3.1, client and server, without IO: what Kubernetes' exec, attach and port-forward speak.

Input: bytes from the peer, calls for what to send. Output: events, bytes to send (`take`).
Payloads of data frames are handed over as they come in. Source: SPDY protocol draft 3.1, sections 2.2 to 2.6.
Flow control is off unless asked for: Kubernetes' peers (moby/spdystream) keep no windows and send no updates, so
there the connection itself is the only back-pressure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from knarr.wire.spdy_headers import Compressor, Decompressor, HeaderError, Headers
from knarr.wire.spdy_windows import INITIAL, Windows

_VERSION = 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _HEADERS, _WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
_FIN, _UNIDIRECTIONAL = 1, 2
_INITIAL_WINDOW = 7
_ID = (1 << 31) - 1
_LARGEST_PAYLOAD = (1 << 24) - 1
#: Bytes of a control frame that are accepted.
MAX_CONTROL = 1 << 20

#: Status codes of RST_STREAM (2.6.3).
RST_PROTOCOL_ERROR, RST_INVALID_STREAM, RST_REFUSED, RST_CANCEL, RST_FLOW_CONTROL, RST_CLOSED = 1, 2, 3, 5, 7, 9
#: Status codes of GOAWAY (2.6.6).
GOAWAY_OK, GOAWAY_PROTOCOL_ERROR = 0, 1

_FRAME = struct.Struct(">II")
_TWO = struct.Struct(">II")
_ONE = struct.Struct(">I")


class ProtocolError(Exception):
    """The peer broke the protocol and the connection is lost; a GOAWAY frame lies ready in `take`."""


class LocalProtocolError(Exception):
    """We asked for what the state of a stream does not allow."""


class StreamOpened(NamedTuple):
    """The peer opened a stream; answer with `reply`. With `end` it sends nothing on it, with `one_way` we don't."""

    stream: int
    headers: Headers
    end: bool
    one_way: bool


class StreamReplied(NamedTuple):
    """The peer took a stream that we opened."""

    stream: int
    headers: Headers
    end: bool


class HeadersReceived(NamedTuple):
    """More headers for an open stream."""

    stream: int
    headers: Headers
    end: bool


class Data(NamedTuple):
    """A piece of a stream. With `end` the peer has closed its side."""

    stream: int
    payload: bytes
    end: bool


class StreamReset(NamedTuple):
    """The peer ended a stream in both directions."""

    stream: int
    status: int


class WindowGrew(NamedTuple):
    """More may be sent on a stream, or on all (stream 0)."""

    stream: int


class Pong(NamedTuple):
    """The answer to `ping`."""

    ping: int


class GoneAway(NamedTuple):
    """The peer takes no more streams; those up to `last` it has seen."""

    last: int
    status: int


Event: TypeAlias = StreamOpened | StreamReplied | HeadersReceived | Data | StreamReset | WindowGrew | Pong | GoneAway


@dataclass(slots=True)
class _Stream:
    ours: bool
    replied: bool = False
    local_closed: bool = False
    remote_closed: bool = False


class Spdy:
    """One side of a connection."""

    def __init__(self, *, client: bool, flow_control: bool = False) -> None:
        self._client = client
        self._compressor = Compressor()
        self._decompressor = Decompressor()
        self._windows = Windows(on=flow_control)
        self._streams: dict[int, _Stream] = {}
        self._next = 1 if client else 2
        self._next_ping = 1 if client else 2
        self._last_remote = 0
        self._buffer = bytearray()
        #: Of the data frame that is being received: stream, bytes to come, whether it ends the stream.
        self._frame: tuple[int, int, bool] | None = None
        self._out: list[bytes] = []
        self._failed = False

    def take(self) -> bytes:
        """The bytes to send, once."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # sending

    def open(self, headers: Headers, *, end: bool = False) -> int:
        """Open a stream; gives its id."""
        stream = self._next
        self._next += 2
        self._streams[stream] = _Stream(ours=True, local_closed=end)
        self._windows.open(stream)
        body = _TWO.pack(stream, 0) + b"\0\0" + self._compressor.encode(headers)
        self._control(_SYN_STREAM, _FIN if end else 0, body)
        return stream

    def reply(self, stream: int, headers: Headers | None = None, *, end: bool = False) -> None:
        """Take a stream that the peer opened. Raises `LocalProtocolError`."""
        state = self._sendable(stream)
        if state.ours or state.replied:
            raise LocalProtocolError(f"stream {stream} takes no reply")
        state.replied = True
        self._control(_SYN_REPLY, _FIN if end else 0, _ONE.pack(stream) + self._compressor.encode(headers or {}))
        self._ended(stream, local=end)

    def headers(self, stream: int, headers: Headers, *, end: bool = False) -> None:
        """Send more headers. Raises `LocalProtocolError`."""
        self._sendable(stream)
        self._control(_HEADERS, _FIN if end else 0, _ONE.pack(stream) + self._compressor.encode(headers))
        self._ended(stream, local=end)

    def data(self, stream: int, payload: bytes, *, end: bool = False) -> None:
        """Send a piece of a stream; `end` closes our side. Raises `LocalProtocolError`."""
        self._sendable(stream)
        if len(payload) > self._windows.room(stream):
            raise LocalProtocolError(f"stream {stream} has no window for {len(payload)} bytes")
        if self._windows.on:
            self._windows.sent(stream, len(payload))
        for start in range(0, max(1, len(payload)), _LARGEST_PAYLOAD):
            part = payload[start : start + _LARGEST_PAYLOAD]
            last = end and start + len(part) == len(payload)
            self._out += (_FRAME.pack(stream, (_FIN if last else 0) << 24 | len(part)), part)
        self._ended(stream, local=end)

    def reset(self, stream: int, status: int = RST_CANCEL) -> None:
        """End a stream in both directions. Safe to repeat."""
        if self._streams.pop(stream, None) is not None:
            self._windows.close(stream)
            self._reset(stream, status)

    def ping(self) -> int:
        """Ask for a sign of life; gives the id that `Pong` will carry."""
        ping = self._next_ping
        self._next_ping += 2
        self._control(_PING, 0, _ONE.pack(ping))
        return ping

    def go_away(self, status: int = GOAWAY_OK) -> None:
        """Say that no more streams are taken."""
        self._control(_GOAWAY, 0, _TWO.pack(self._last_remote, status))

    def window(self, stream: int) -> int:
        """Bytes that `data` may send on a stream now."""
        return self._windows.room(stream)

    def writable(self, stream: int) -> bool:
        """Whether our side of a stream is open."""
        state = self._streams.get(stream)
        return state is not None and not state.local_closed

    def _sendable(self, stream: int) -> _Stream:
        state = self._streams.get(stream)
        if state is None or state.local_closed:
            raise LocalProtocolError(f"stream {stream} is closed")
        return state

    def _control(self, kind: int, flags: int, body: bytes) -> None:
        self._out += (_FRAME.pack(1 << 31 | _VERSION << 16 | kind, flags << 24 | len(body)), body)

    def _reset(self, stream: int, status: int) -> None:
        self._control(_RST_STREAM, 0, _TWO.pack(stream, status))

    def _ended(self, stream: int, *, local: bool = False, remote: bool = False) -> None:
        state = self._streams[stream]
        state.local_closed |= local
        state.remote_closed |= remote
        if state.local_closed and state.remote_closed:
            del self._streams[stream]
            self._windows.close(stream)

    # receiving

    def receive(self, data: bytes) -> list[Event]:
        """Take in bytes from the peer. Raises `ProtocolError`, and then takes in nothing more."""
        if self._failed:
            return []
        self._buffer += data
        events: list[Event] = []
        try:
            while self._step(events):
                pass
        except (HeaderError, struct.error) as error:
            raise self._fail(str(error)) from error
        return events

    def _step(self, events: list[Event]) -> bool:
        """Take one frame, or a piece of a data frame, off the buffer; False when it holds no more of use."""
        if self._frame is not None:
            return self._payload(events)
        if len(self._buffer) < _FRAME.size:
            return False
        first, second = _FRAME.unpack_from(self._buffer)
        flags, length = second >> 24, second & _LARGEST_PAYLOAD
        if not first >> 31:
            del self._buffer[: _FRAME.size]
            self._frame = (first, length, bool(flags & _FIN))
            return self._payload(events)
        if first >> 16 & 0x7FFF != _VERSION:
            raise self._fail(f"unsupported SPDY version {first >> 16 & 0x7FFF}")
        if length > MAX_CONTROL:
            raise self._fail(f"control frame of {length} bytes")
        if len(self._buffer) < _FRAME.size + length:
            return False
        body = bytes(self._buffer[_FRAME.size : _FRAME.size + length])
        del self._buffer[: _FRAME.size + length]
        handler = _HANDLERS.get(first & 0xFFFF)
        if handler is not None:
            events += handler(self, flags, body)
        return True

    def _payload(self, events: list[Event]) -> bool:
        stream, length, end = self._frame or (0, 0, False)
        if length and not self._buffer:
            return False
        payload = bytes(self._buffer[:length])
        del self._buffer[:length]
        left = length - len(payload)
        self._frame = (stream, left, end) if left else None
        self._grant(stream, len(payload))
        state = self._streams.get(stream)
        if state is not None and not state.remote_closed:
            events.append(Data(stream, payload, end and not left))
            self._ended(stream, remote=end and not left)
        elif not left:
            self._reset(stream, RST_INVALID_STREAM if state is None else RST_CLOSED)
        return True

    def _grant(self, stream: int, size: int) -> None:
        for window, amount in self._windows.received(stream, size):
            self._control(_WINDOW_UPDATE, 0, _TWO.pack(window, amount))

    def _syn_stream(self, flags: int, body: bytes) -> list[Event]:
        stream = _ONE.unpack_from(body)[0] & _ID
        headers = self._decompressor.decode(body[10:])
        if stream % 2 == (1 if not self._client else 0) and stream > self._last_remote:
            self._last_remote = stream
        else:
            raise self._fail(f"stream {stream} cannot be opened")
        end, one_way = bool(flags & _FIN), bool(flags & _UNIDIRECTIONAL)
        self._streams[stream] = _Stream(ours=False, local_closed=one_way)
        self._windows.open(stream)
        self._ended(stream, remote=end)
        return [StreamOpened(stream, headers, end, one_way)]

    def _syn_reply(self, flags: int, body: bytes) -> list[Event]:
        stream = _ONE.unpack_from(body)[0] & _ID
        headers = self._decompressor.decode(body[4:])
        state = self._streams.get(stream)
        if state is None or not state.ours or state.replied or state.remote_closed:
            self._refuse(stream, RST_INVALID_STREAM if state is None else RST_PROTOCOL_ERROR)
            return []
        state.replied = True
        self._ended(stream, remote=bool(flags & _FIN))
        return [StreamReplied(stream, headers, bool(flags & _FIN))]

    def _more_headers(self, flags: int, body: bytes) -> list[Event]:
        stream = _ONE.unpack_from(body)[0] & _ID
        headers = self._decompressor.decode(body[4:])
        state = self._streams.get(stream)
        if state is None or state.remote_closed:
            self._refuse(stream, RST_INVALID_STREAM)
            return []
        self._ended(stream, remote=bool(flags & _FIN))
        return [HeadersReceived(stream, headers, bool(flags & _FIN))]

    def _refuse(self, stream: int, status: int) -> None:
        self._streams.pop(stream, None)
        self._windows.close(stream)
        self._reset(stream, status)

    def _rst_stream(self, _flags: int, body: bytes) -> list[Event]:
        stream, status = _TWO.unpack(body)
        self._windows.close(stream)
        return [StreamReset(stream, status)] if self._streams.pop(stream, None) is not None else []

    def _settings(self, _flags: int, body: bytes) -> list[Event]:
        (count,) = _ONE.unpack_from(body)
        if len(body) != _ONE.size + count * _TWO.size:
            raise self._fail("malformed settings")
        for offset in range(_ONE.size, len(body), _TWO.size):
            name, value = _TWO.unpack_from(body, offset)
            if name & 0xFFFFFF == _INITIAL_WINDOW:
                self._windows.initial(min(value, _ID))
                return [WindowGrew(0)]
        return []

    def _pinged(self, _flags: int, body: bytes) -> list[Event]:
        (ping,) = _ONE.unpack(body)
        if ping % 2 == self._next_ping % 2:
            return [Pong(ping)]
        self._control(_PING, 0, body)
        return []

    def _gone_away(self, _flags: int, body: bytes) -> list[Event]:
        last, status = _TWO.unpack(body)
        return [GoneAway(last & _ID, status)]

    def _window_update(self, _flags: int, body: bytes) -> list[Event]:
        stream, amount = _TWO.unpack(body)
        if self._windows.grow(stream, amount & _ID):
            return [WindowGrew(stream)]
        if stream == 0:
            raise self._fail("the connection's window is too large")
        self._refuse(stream, RST_FLOW_CONTROL)
        return [StreamReset(stream, RST_FLOW_CONTROL)]

    def _fail(self, why: str) -> ProtocolError:
        self._failed = True
        self._buffer.clear()
        self.go_away(GOAWAY_PROTOCOL_ERROR)
        return ProtocolError(why)


_HANDLERS: dict[int, Callable[[Spdy, int, bytes], list[Event]]] = {
    _SYN_STREAM: Spdy._syn_stream,  # noqa: SLF001 - the table of this very class
    _SYN_REPLY: Spdy._syn_reply,  # noqa: SLF001
    _RST_STREAM: Spdy._rst_stream,  # noqa: SLF001
    _SETTINGS: Spdy._settings,  # noqa: SLF001
    _PING: Spdy._pinged,  # noqa: SLF001
    _GOAWAY: Spdy._gone_away,  # noqa: SLF001
    _HEADERS: Spdy._more_headers,  # noqa: SLF001
    _WINDOW_UPDATE: Spdy._window_update,  # noqa: SLF001
}
__all__ = [
    "GOAWAY_OK",
    "GOAWAY_PROTOCOL_ERROR",
    "INITIAL",
    "Data",
    "Event",
    "GoneAway",
    "HeadersReceived",
    "LocalProtocolError",
    "Pong",
    "ProtocolError",
    "Spdy",
    "StreamOpened",
    "StreamReplied",
    "StreamReset",
    "WindowGrew",
]
