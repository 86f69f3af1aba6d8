from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.wire import feeding

from knarr.wire import spdy
from knarr.wire.spdy import (
    Data,
    GoneAway,
    HeadersReceived,
    LocalProtocolError,
    Pong,
    ProtocolError,
    Spdy,
    StreamOpened,
    StreamReplied,
    StreamReset,
    WindowGrew,
)
from knarr.wire.spdy_headers import Compressor, Decompressor, HeaderError

names = st.text(st.characters(codec="ascii", min_codepoint=97, max_codepoint=122), min_size=1, max_size=12)
values = st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20), min_size=1, max_size=3)
headers = st.dictionaries(names, values.map(tuple), max_size=5)


def control(kind: int, body: bytes, flags: int = 0, version: int = 3) -> bytes:
    return struct.pack(">II", 1 << 31 | version << 16 | kind, flags << 24 | len(body)) + body


@given(st.lists(headers, max_size=5))
def test_headers_survive_compression(blocks: list[dict[str, tuple[str, ...]]]) -> None:
    compressor, decompressor = Compressor(), Decompressor()
    for block in blocks:
        assert decompressor.decode(compressor.encode(block)) == block


@given(st.binary(max_size=60))
def test_broken_header_blocks_are_refused(data: bytes) -> None:
    with pytest.raises(HeaderError):
        Decompressor().decode(b"\x00" + data)


def test_a_decompression_bomb_is_refused() -> None:
    with pytest.raises(HeaderError, match="too large"):
        Decompressor().decode(Compressor().encode({"a": ("x" * (1 << 21),)}))


def conversation(client: Spdy) -> tuple[bytes, list[spdy.Event]]:
    """What a client sends, and what the server must make of it."""
    first = client.open({"streamtype": ("stdin",)})
    second = client.open({"streamtype": ("error",), "more": ("a", "b")}, end=True)
    client.data(first, b"hello")
    client.headers(first, {"x": ("y",)})
    client.data(first, b"", end=True)
    third = client.open({})
    client.reset(third)
    client.go_away()
    return client.take(), [
        StreamOpened(first, {"streamtype": ("stdin",)}, False, False),
        StreamOpened(second, {"streamtype": ("error",), "more": ("a", "b")}, True, False),
        Data(first, b"hello", False),
        HeadersReceived(first, {"x": ("y",)}, False),
        Data(first, b"", True),
        StreamOpened(third, {}, False, False),
        StreamReset(third, spdy.RST_CANCEL),
        GoneAway(0, spdy.GOAWAY_OK),
    ]


def merged(events: list[spdy.Event]) -> list[spdy.Event]:
    """Neighbouring pieces of one data frame as one."""
    out: list[spdy.Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, Data) and isinstance(last, Data) and event.payload and last.stream == event.stream:
            out[-1] = Data(event.stream, last.payload + event.payload, event.end)
        else:
            out.append(event)
    return out


@given(feeding.places)
def test_a_conversation_is_understood_however_it_is_cut(places: list[int]) -> None:
    data, expected = conversation(Spdy(client=True))
    for chunks in (feeding.whole(data), feeding.byte_by_byte(data), feeding.cut(data, places)):
        server = Spdy(client=False)
        assert merged([event for chunk in chunks for event in server.receive(chunk)]) == expected
        assert server.take() == b""


def test_a_reply_and_the_servers_own_streams() -> None:
    client, server = Spdy(client=True), Spdy(client=False)
    stream = client.open({"port": ("80",)})
    server.receive(client.take())
    server.reply(stream, {"ok": ("yes",)})
    pushed = server.open({"pushed": ("1",)})
    server.data(stream, b"answer", end=True)
    assert pushed == 2
    assert client.receive(server.take()) == [
        StreamReplied(stream, {"ok": ("yes",)}, False),
        StreamOpened(pushed, {"pushed": ("1",)}, False, False),
        Data(stream, b"answer", True),
    ]
    client.data(stream, b"still open on this side")
    with pytest.raises(LocalProtocolError):
        server.data(stream, b"closed")
    with pytest.raises(LocalProtocolError):
        client.reply(stream)


def test_pings_are_answered() -> None:
    client, server = Spdy(client=True), Spdy(client=False)
    ping = client.ping()
    assert server.receive(client.take()) == []
    assert client.receive(server.take()) == [Pong(ping)]
    assert client.take() == b""


def test_data_for_an_unknown_stream_resets_it() -> None:
    server = Spdy(client=False)
    assert server.receive(struct.pack(">II", 7, 2) + b"ab") == []
    assert Spdy(client=True).receive(server.take()) == []


def test_data_behind_the_end_resets_the_stream() -> None:
    client, server = Spdy(client=True), Spdy(client=False)
    stream = client.open({})
    server.receive(client.take())
    frame = struct.pack(">II", stream, 1 << 24)
    assert server.receive(frame) == [Data(stream, b"", True)]
    assert server.receive(frame) == []
    assert client.receive(server.take()) == [StreamReset(stream, spdy.RST_CLOSED)]


@pytest.mark.parametrize(
    "data",
    [
        control(1, b"", version=2),
        control(1, b"\0\0"),
        control(1, struct.pack(">IIH", 2, 0, 0) + Compressor().encode({})),
        control(3, b"\0\0\0\1"),
        control(4, b"\0\0\0\2"),
        control(9, struct.pack(">II", 0, 0x7FFFFFFF)) * 2,
        struct.pack(">II", 1 << 31 | 3 << 16 | 8, (1 << 20) + 1),
    ],
)
def test_broken_frames_end_the_connection(data: bytes) -> None:
    server = Spdy(client=False)
    with pytest.raises(ProtocolError):
        server.receive(data)
    assert Spdy(client=True).receive(server.take()) == [GoneAway(0, spdy.GOAWAY_PROTOCOL_ERROR)]
    assert server.receive(b"anything") == []


def test_frames_of_unknown_types_are_skipped() -> None:
    client, server = Spdy(client=True), Spdy(client=False)
    client.open({})
    events = server.receive(control(5, b"") + control(10, b"abc") + client.take())
    assert events == [StreamOpened(1, {}, False, False)]


@given(st.binary(max_size=80))
def test_no_bytes_do_harm(data: bytes) -> None:
    server = Spdy(client=False)
    try:
        for chunk in feeding.byte_by_byte(data):
            server.receive(chunk)
    except ProtocolError:
        assert server.take()


def test_frames_larger_than_their_length_field_are_split() -> None:
    client, server = Spdy(client=True), Spdy(client=False)
    stream = client.open({})
    payload = bytes(1 << 24)
    client.data(stream, payload, end=True)
    events = server.receive(client.take())
    assert [event.end for event in events if isinstance(event, Data)] == [False, True]
    assert sum(len(event.payload) for event in events if isinstance(event, Data)) == len(payload)


@given(st.lists(st.integers(1, 40000), max_size=20))
def test_windows_hold_the_sender_and_grow_with_the_reader(sizes: list[int]) -> None:
    client, server = Spdy(client=True, flow_control=True), Spdy(client=False, flow_control=True)
    stream = client.open({})
    server.receive(client.take())
    received = 0
    for size in sizes:
        assert client.window(stream) <= spdy.INITIAL
        if size > client.window(stream):
            with pytest.raises(LocalProtocolError):
                client.data(stream, bytes(size))
            size = client.window(stream)
        client.data(stream, bytes(size))
        received += sum(len(event.payload) for event in server.receive(client.take()) if isinstance(event, Data))
        client.receive(server.take())
        assert client.window(stream) > spdy.INITIAL // 2
    assert client.window(0) == client.window(stream)


def test_settings_change_the_windows_of_open_streams() -> None:
    client = Spdy(client=True, flow_control=True)
    stream = client.open({})
    settings_frame = control(4, struct.pack(">III", 1, 7, 10))
    assert client.receive(settings_frame) == [WindowGrew(0)]
    assert client.window(stream) == 10
    assert client.receive(control(9, struct.pack(">II", stream, 5))) == [WindowGrew(stream)]
    assert client.window(stream) == 15


class TwoSides(RuleBasedStateMachine):
    """Any order of calls on both sides: each sees exactly what the other sent, per stream and in order."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = (Spdy(client=True), Spdy(client=False))
        self.sent: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self.got: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self.ended: tuple[set[int], set[int]] = (set(), set())
        self.known: set[int] = set()

    @rule(side=st.integers(0, 1), block=headers)
    def open(self, side: int, block: dict[str, tuple[str, ...]]) -> None:
        self.known.add(self.sides[side].open(block))
        self.deliver(side, [])

    @rule(side=st.integers(0, 1), data=st.data(), payload=st.binary(max_size=50), end=st.booleans(), at=feeding.places)
    def send(self, side: int, data: st.DataObject, payload: bytes, end: bool, at: list[int]) -> None:
        writable = sorted(stream for stream in self.known if self.sides[side].writable(stream))
        if not writable:
            return
        stream = data.draw(st.sampled_from(writable))
        self.sides[side].data(stream, payload, end=end)
        self.sent[side][stream] = self.sent[side].get(stream, b"") + payload
        self.deliver(side, at)
        assert (stream in self.ended[side]) == end

    def deliver(self, side: int, at: list[int]) -> None:
        for chunk in feeding.cut(self.sides[side].take(), at):
            for event in self.sides[1 - side].receive(chunk):
                if isinstance(event, Data):
                    self.got[side][event.stream] = self.got[side].get(event.stream, b"") + event.payload
                    if event.end:
                        self.ended[side].add(event.stream)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.got == self.sent
        assert not self.sides[0].take() and not self.sides[1].take()


TestTwoSides = TwoSides.TestCase
TestTwoSides.settings = settings(max_examples=60, stateful_step_count=20)
