from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.wire import feeding

from knarr.wire import websocket
from knarr.wire.websocket import Closed, Data, HandshakeError, ProtocolError, WebSocket

#: The example of RFC 6455, 1.3.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HANDSHAKE = {
    "upgrade": "websocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": KEY,
}
messages = st.lists(st.tuples(st.binary(max_size=70000) | st.binary(max_size=200), st.just(False)), max_size=5)


def joined(pieces: list[websocket.Event]) -> list[tuple[bytes, bool]]:
    """Whole messages, after a look at the marks of their pieces."""
    out: list[tuple[bytes, bool]] = []
    inside = False
    for piece in pieces:
        assert isinstance(piece, Data)
        assert piece.start is not inside
        if piece.start:
            out.append((b"", piece.text))
        out[-1] = (out[-1][0] + piece.payload, piece.text)
        inside = not piece.end
    assert not inside
    return out


def test_answers_the_handshake_of_the_rfc() -> None:
    answer = websocket.accept(HANDSHAKE, "v5.channel.k8s.io")
    assert answer["Sec-WebSocket-Accept"] == ACCEPT
    assert answer["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io"


@pytest.mark.parametrize(
    "change",
    [{"upgrade": "SPDY/3.1"}, {"connection": "close"}, {"sec-websocket-version": "8"}, {"sec-websocket-key": "short"}],
)
def test_refuses_other_handshakes(change: dict[str, str]) -> None:
    with pytest.raises(HandshakeError):
        websocket.accept({**HANDSHAKE, **change}, "")


def test_a_client_and_a_server_agree() -> None:
    nonce = bytes(range(16))
    asked = {name.lower(): value for name, value in websocket.request_headers(nonce, ("a", "b")).items()}
    assert websocket.offered(asked) == ("a", "b")
    answer = {name.lower(): value for name, value in websocket.accept(asked, "b").items()}
    assert websocket.check_answer(101, answer, nonce, ("a", "b")) == "b"
    for bad in (
        {**answer, "sec-websocket-protocol": "c"},
        {**answer, "sec-websocket-accept": ACCEPT},
        {**answer, "upgrade": ""},
    ):
        with pytest.raises(HandshakeError):
            websocket.check_answer(101, bad, nonce, ("a", "b"))
    with pytest.raises(HandshakeError):
        websocket.check_answer(403, answer, nonce, ("a", "b"))


def test_chooses_what_the_client_prefers() -> None:
    assert websocket.choose(("x", "v5", "v4"), ("v4", "v5", "")) == "v5"
    assert websocket.choose((), ("v4", "")) == ""
    assert websocket.choose((), ("v4",)) is None
    assert websocket.choose(("x",), ("v4", "")) is None


@given(messages, feeding.places, st.booleans())
def test_messages_arrive_however_they_are_cut(
    sent: list[tuple[bytes, bool]], places: list[int], to_server: bool
) -> None:
    sender, receiver = WebSocket(client=to_server), WebSocket(client=not to_server)
    for payload, text in sent:
        sender.send(payload, text=text)
    data = sender.take()
    pieces = [event for chunk in feeding.cut(data, places) for event in receiver.receive(chunk)]
    assert joined(pieces) == sent
    assert receiver.take() == b""


@given(st.text(max_size=300))
def test_text_may_be_cut_inside_a_character(text: str) -> None:
    sender, receiver = WebSocket(client=True), WebSocket(client=False)
    sender.send(text.encode(), text=True)
    pieces = [event for chunk in feeding.byte_by_byte(sender.take()) for event in receiver.receive(chunk)]
    assert joined(pieces) == [(text.encode(), True)]


def test_pings_are_answered() -> None:
    client, server = WebSocket(client=True), WebSocket(client=False)
    client.ping(b"there?")
    assert server.receive(client.take()) == []
    answer = server.take()
    assert answer[:2] == bytes((0x8A, 6)) and answer[2:] == b"there?"
    assert client.receive(answer) == []


def test_closing_ends_both_sides_and_drops_what_follows() -> None:
    client, server = WebSocket(client=True), WebSocket(client=False)
    client.send(b"last")
    client.close(websocket.GOING_AWAY, "done")
    events = server.receive(client.take() + b"rubbish")
    assert events == [Data(b"last", False, True, True), Closed(websocket.GOING_AWAY, "done")]
    assert not server.open
    server.send(b"too late")
    assert client.receive(server.take()) == [Closed(websocket.GOING_AWAY, "")]
    assert server.receive(b"more") == []
    client.close()
    assert client.take() == b""


def test_a_close_without_a_code_is_answered_by_a_normal_one() -> None:
    server = WebSocket(client=False)
    assert server.receive(bytes((0x88, 0x80, 0, 0, 0, 0))) == [Closed(1005, "")]
    assert server.take() == bytes((0x88, 2)) + (1000).to_bytes(2, "big")


@pytest.mark.parametrize("data", [b"\x82\x01x", b"\xf2\x81abcdx", b"\x83\x81abcdx", b"\x09\x81abcdx"])
def test_broken_frames_are_the_peers_fault(data: bytes) -> None:
    server = WebSocket(client=False)
    with pytest.raises(ProtocolError):
        server.receive(data)
    assert server.take()[0] == 0x88


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    server = WebSocket(client=False)
    try:
        for chunk in feeding.byte_by_byte(data):
            server.receive(chunk)
    except ProtocolError:
        assert not server.open
