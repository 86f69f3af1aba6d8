"""Frames of hostile peers: codecs blame the peer, hold a bounded amount, and do not go on."""

from __future__ import annotations

import struct
import zlib

from hypothesis import strategies as st
from tests.fuzz.cases import fuzz, mutated

from knarr.wire import channels, spdy, websocket
from knarr.wire.channels import ChannelError, Channels
from knarr.wire.spdy import Spdy
from knarr.wire.websocket import WebSocket

_BOMB = zlib.compress(b"\0" * 1_000_000)


def _control(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload


@st.composite
def spdy_frames(draw: st.DrawFn) -> bytes:
    """A SPDY frame with plausible parts."""
    stream = draw(st.sampled_from([0, 1, 2, 3, 5, 0x7FFFFFFF]))
    payload = draw(st.binary(max_size=40))
    if draw(st.booleans()):
        return struct.pack(">II", stream, draw(st.integers(0, 255)) << 24 | len(payload)) + payload
    kind = draw(st.integers(0, 11))
    block = draw(st.sampled_from([zlib.compress(payload), _BOMB, payload, b""]))
    body = struct.pack(">II", stream, draw(st.integers(0, 2**32 - 1))) + draw(st.sampled_from([b"", b"\0\0"])) + block
    return _control(kind, draw(st.sampled_from([0, 1, 2, 255])), draw(st.sampled_from([body, payload])))


frames = st.lists(spdy_frames(), max_size=6).map(b"".join)


@fuzz(100, 8_000, data=st.one_of(frames, mutated(frames), st.binary(max_size=60)), step=st.integers(1, 64))
def test_spdy(data: bytes, step: int) -> None:
    for client in (True, False):
        peer = Spdy(client=client)
        try:
            for at in range(0, len(data), step):
                peer.receive(data[at : at + step])
                peer.take()
        except spdy.ProtocolError:
            pass


@st.composite
def websocket_frames(draw: st.DrawFn) -> bytes:
    """A masked WebSocket frame, or what looks like one."""
    payload = draw(st.binary(max_size=200))
    size = draw(st.sampled_from([len(payload), len(payload), 125, 126, 127]))
    head = bytes([draw(st.integers(0, 255)), draw(st.sampled_from([0x80, 0])) | min(size, 127)])
    if size == 126:
        head += struct.pack(">H", draw(st.sampled_from([len(payload), 65535])))
    elif size == 127:
        head += struct.pack(">Q", draw(st.sampled_from([len(payload), 2**63, 2**40])))
    return head + b"\0\0\0\0" + payload


socket_data = st.lists(websocket_frames(), max_size=6).map(b"".join)


@fuzz(
    100,
    8_000,
    data=st.one_of(socket_data, mutated(socket_data), st.binary(max_size=60)),
    step=st.integers(1, 64),
    protocol=st.sampled_from(["v5.channel.k8s.io", "v4.channel.k8s.io", "base64.channel.k8s.io", "channel.k8s.io", ""]),
)
def test_websocket(data: bytes, step: int, protocol: str) -> None:
    peer, streams, taken = WebSocket(client=False), Channels(protocol), channels.PortHeaders()
    try:
        for at in range(0, len(data), step):
            for event in peer.receive(data[at : at + step]):
                if isinstance(event, websocket.Data):
                    for found in streams.decode(event):
                        if isinstance(found, channels.ChannelData):
                            taken.strip(found.channel, found.payload)
            peer.take()
    except (websocket.ProtocolError, ChannelError):
        pass
