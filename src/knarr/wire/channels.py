"""Kubernetes' stream channels over WebSocket: several byte streams in one connection, told apart by a channel number.

Input: subprotocol names, pieces of WebSocket messages, bytes to send. Output: pieces by channel, message payloads.
A binary message begins with its channel's number as one byte; in the base64 variants a text message begins with the
number as a digit, and the rest is base64. `v5` adds a message that closes a channel. Port forwarding uses two
channels a port (data, errors), whose first message from the server carries the port.
Source: k8s.io/streaming (wsstream, remotecommand, portforward) and KEP-4006.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import NamedTuple, TypeAlias

from knarr.wire.websocket import Data

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
#: v5: a message of two bytes, this and a channel, closes that channel.
CLOSE = 255

V1, V4, V5 = "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"
BASE64, V4_BASE64 = "base64.channel.k8s.io", "v4.base64.channel.k8s.io"
#: What exec and attach serve; the empty name stands for a client that asks for none.
EXEC_PROTOCOLS = (V5, V4, V4_BASE64, V1, BASE64, "")
#: What a whole stream (logs) serves: no channels at all.
BINARY, BINARY_BASE64 = "binary.k8s.io", "base64.binary.k8s.io"
LOG_PROTOCOLS = (BINARY, BINARY_BASE64, "")
#: The subprotocol that carries a SPDY connection for port forwarding in binary messages.
TUNNEL_PREFIX = "SPDY/3.1+"
PORT_FORWARD_TUNNEL = TUNNEL_PREFIX + "portforward.k8s.io"

_PORT = struct.Struct("<H")


class ChannelError(Exception):
    """The peer sent a message that belongs to no channel, or of the wrong type."""


class ChannelData(NamedTuple):
    """A piece of one channel; pieces of one message but the last have `end` false."""

    channel: int
    payload: bytes
    end: bool


class ChannelClosed(NamedTuple):
    """The peer closed one channel (v5)."""

    channel: int


Event: TypeAlias = ChannelData | ChannelClosed


def is_base64(protocol: str) -> bool:
    """Whether a subprotocol carries base64 in text messages."""
    return protocol in (BASE64, V4_BASE64, BINARY_BASE64)


def has_status(protocol: str) -> bool:
    """Whether the error channel carries a `Status` as JSON; in the older ones it carries a plain text."""
    return protocol in (V4, V4_BASE64, V5)


class Channels:
    """The channel numbers of one connection's messages, in both directions."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.text = is_base64(protocol)
        self._closes = protocol == V5
        self._channel: int | None = None
        #: What of a base64 message waits for its group of four, or of a close message for its second byte.
        self._rest = b""

    def encode(self, channel: int, payload: bytes) -> bytes:
        """The message that carries a payload; send it as text when `text` is set."""
        if self.text:
            return b"%d" % channel + base64.b64encode(payload)
        return bytes((channel,)) + payload

    def encode_close(self, channel: int) -> bytes | None:
        """The message that closes a channel; None where the subprotocol has none."""
        return bytes((CLOSE, channel)) if self._closes else None

    def decode(self, piece: Data) -> list[Event]:
        """What a piece of a message holds. Raises `ChannelError`."""
        payload = piece.payload
        if piece.start:
            self._channel, self._rest = None, b""
        if self._channel is None:
            if not payload:
                return []
            self._channel = self._number(payload[0])
            payload = payload[1:]
        if self._closes and self._channel == CLOSE:
            return self._close(payload, end=piece.end)
        if self.text:
            payload = self._decoded(payload, end=piece.end)
        return [ChannelData(self._channel, payload, piece.end)] if payload or piece.end else []

    def _number(self, first: int) -> int:
        if not self.text:
            return first
        if not 0x30 <= first <= 0x39:
            raise ChannelError(f"no channel number at the start of a message: {first:#04x}")
        return first - 0x30

    def _close(self, payload: bytes, *, end: bool) -> list[Event]:
        self._rest += payload
        if not end:
            return []
        if len(self._rest) != 1:
            raise ChannelError("a close message names one channel")
        return [ChannelClosed(self._rest[0])]

    def _decoded(self, payload: bytes, *, end: bool) -> bytes:
        payload = self._rest + payload
        whole = len(payload) if end else len(payload) - len(payload) % 4
        self._rest = payload[whole:]
        try:
            return base64.b64decode(payload[:whole], validate=True)
        except binascii.Error as error:
            raise ChannelError(f"message is not valid base64: {error}") from error


def data_channel(index: int) -> int:
    """The channel that carries the bytes of the port at this place of a port-forward request."""
    return 2 * index


def error_channel(index: int) -> int:
    """The channel that carries the errors of the port at this place of a port-forward request."""
    return 2 * index + 1


def port_header(port: int) -> bytes:
    """The first message of either channel, from the server: the port, little endian."""
    return _PORT.pack(port)


class PortHeaders:
    """Takes the leading port off each channel that a port-forward server opens."""

    def __init__(self) -> None:
        self._heads: dict[int, bytes] = {}
        self.ports: dict[int, int] = {}

    def strip(self, channel: int, payload: bytes) -> bytes:
        """The payload behind the header; `ports` knows the channel's port once it has come in."""
        if channel in self.ports:
            return payload
        head = self._heads.get(channel, b"") + payload
        self._heads[channel] = head[: _PORT.size]
        if len(head) >= _PORT.size:
            (self.ports[channel],) = _PORT.unpack_from(head)
        return head[_PORT.size :]
