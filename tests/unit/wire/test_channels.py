from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.wire import feeding

from knarr.wire import channels
from knarr.wire.channels import ChannelClosed, ChannelData, ChannelError, Channels, PortHeaders
from knarr.wire.websocket import Data

protocols = st.sampled_from(channels.EXEC_PROTOCOLS)


def pieces(message: bytes, places: list[int], text: bool) -> list[Data]:
    cut = feeding.cut(message, places) or [b""]
    return [Data(part, text, index == 0, index == len(cut) - 1) for index, part in enumerate(cut)]


@given(protocols, st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=400)), max_size=6), feeding.places)
def test_payloads_keep_their_channel_however_messages_are_cut(
    protocol: str, sent: list[tuple[int, bytes]], places: list[int]
) -> None:
    sender, receiver = Channels(protocol), Channels(protocol)
    got: list[tuple[int, bytes]] = []
    for channel, payload in sent:
        message = sender.encode(channel, payload)
        events = [event for part in pieces(message, places, sender.text) for event in receiver.decode(part)]
        assert events and all(isinstance(event, ChannelData) and event.channel == channel for event in events)
        assert [event.end for event in events if isinstance(event, ChannelData)] == [False] * (len(events) - 1) + [True]
        got.append((channel, b"".join(event.payload for event in events if isinstance(event, ChannelData))))
    assert got == sent


def test_the_messages_are_those_of_kubernetes() -> None:
    assert Channels(channels.V4).encode(channels.STDOUT, b"ls\n") == b"\x01ls\n"
    assert Channels(channels.V4_BASE64).encode(channels.STDERR, b"oh") == b"2b2g="
    assert Channels(channels.V5).encode_close(channels.STDIN) == b"\xff\x00"
    assert Channels(channels.V4).encode_close(channels.STDIN) is None


@given(feeding.places)
def test_v5_closes_single_channels(places: list[int]) -> None:
    receiver = Channels(channels.V5)
    got = [event for part in pieces(b"\xff\x00", places, False) for event in receiver.decode(part)]
    assert got == [ChannelClosed(channels.STDIN)]
    with pytest.raises(ChannelError):
        receiver.decode(Data(b"\xff\x00\x01", False, True, True))


def test_channel_255_is_a_plain_channel_before_v5() -> None:
    assert Channels(channels.V4).decode(Data(b"\xff\x00", False, True, True)) == [ChannelData(255, b"\x00", True)]


@pytest.mark.parametrize("message", [b"xYQ==", b"1a", b"1\xff\xff\xff\xff"])
def test_broken_base64_is_the_peers_fault(message: bytes) -> None:
    with pytest.raises(ChannelError):
        Channels(channels.BASE64).decode(Data(message, True, True, True))


def test_an_empty_message_belongs_to_no_channel() -> None:
    assert Channels(channels.V4).decode(Data(b"", False, True, True)) == []


def test_the_error_channel_carries_a_status_since_v4() -> None:
    assert [channels.has_status(protocol) for protocol in channels.EXEC_PROTOCOLS] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


@given(st.integers(1, 65535), st.integers(0, 3), st.binary(max_size=20), feeding.places)
def test_port_forward_channels_begin_with_their_port(port: int, index: int, data: bytes, places: list[int]) -> None:
    headers = PortHeaders()
    for channel in (channels.data_channel(index), channels.error_channel(index)):
        parts = feeding.cut(channels.port_header(port) + data, places)
        assert b"".join(headers.strip(channel, part) for part in parts) == data
        assert headers.ports[channel] == port
