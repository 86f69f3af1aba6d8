"""WebSocket (RFC 6455) for both sides: the handshake's headers, and frames by wsproto's sans-IO core.

Input: header mappings (names in lower case), bytes from the peer. Output: headers, events, bytes to send (`take`).
Messages are handed over piece by piece as they come in, so that a large one is never held in memory.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError as _WsprotoError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: Close codes (RFC 6455, 7.4.1).
NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED_DATA, INTERNAL_ERROR = 1000, 1001, 1002, 1003, 1011
#: Codes that stand for a missing code or connection and never travel.
_UNSENDABLE = frozenset({1005, 1006, 1015})


class HandshakeError(Exception):
    """The peer's handshake is not one that can be answered; the text says why."""


class ProtocolError(Exception):
    """The peer broke the framing; a close frame with the reason lies ready in `take`."""


class Data(NamedTuple):
    """A piece of a message. `start` and `end` mark the first and last piece; `text` is the message's type."""

    payload: bytes
    text: bool
    start: bool
    end: bool


class Closed(NamedTuple):
    """The peer closed; nothing follows. The answering close frame lies ready in `take`."""

    code: int
    reason: str


Event: TypeAlias = Data | Closed


def is_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a request asks for a WebSocket."""
    return headers.get("upgrade", "").lower() == "websocket" and "upgrade" in _tokens(headers.get("connection", ""))


def offered(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The subprotocols a request offers, in its order."""
    return tuple(part.strip() for part in headers.get("sec-websocket-protocol", "").split(",") if part.strip())


def choose(wanted: Sequence[str], served: Iterable[str]) -> str | None:
    """The first wanted subprotocol that is served; `""` when none is wanted and `""` is served; None when none fits."""
    known = frozenset(served)
    return next((name for name in wanted or ("",) if name in known), None)


def accept(headers: Mapping[str, str], protocol: str) -> dict[str, str]:
    """The headers of the 101 answer to a handshake. Raises `HandshakeError`."""
    if not is_upgrade(headers):
        raise HandshakeError("the request is no WebSocket handshake")
    if headers.get("sec-websocket-version", "") != "13":
        raise HandshakeError("unsupported version: 13 not found in 'Sec-Websocket-Version' header")
    key = headers.get("sec-websocket-key", "")
    if not _is_key(key):
        raise HandshakeError("'Sec-WebSocket-Key' header must be Base64 encoded value of 16-byte in length")
    answer = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept_key(key)}
    if protocol:
        answer["Sec-WebSocket-Protocol"] = protocol
    return answer


def request_headers(nonce: bytes, protocols: Sequence[str]) -> dict[str, str]:
    """The headers of a client's handshake. `nonce` is 16 random bytes."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(nonce).decode(),
    }
    if protocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(protocols)
    return headers


def check_answer(status: int, headers: Mapping[str, str], nonce: bytes, protocols: Sequence[str]) -> str:
    """The subprotocol a server chose with its answer. Raises `HandshakeError`."""
    if status != 101 or not is_upgrade(headers):
        raise HandshakeError(f"the server did not switch to WebSocket (HTTP {status})")
    if headers.get("sec-websocket-accept", "") != accept_key(base64.b64encode(nonce).decode()):
        raise HandshakeError("the server's Sec-WebSocket-Accept does not belong to the request")
    chosen = headers.get("sec-websocket-protocol", "")
    if chosen and chosen not in protocols:
        raise HandshakeError(f"the server chose a subprotocol that was not offered: {chosen}")
    return chosen


def accept_key(key: str) -> str:
    """`Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


class WebSocket:
    """One side of an open WebSocket. Pings are answered by themselves."""

    def __init__(self, *, client: bool) -> None:
        self._connection = Connection(ConnectionType.CLIENT if client else ConnectionType.SERVER)
        self._out: list[bytes | bytearray] = []
        self._start = True

    @property
    def open(self) -> bool:
        """Whether messages can still be sent."""
        return self._connection.state is ConnectionState.OPEN

    def take(self) -> bytes:
        """The bytes to send, once."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def receive(self, data: bytes) -> list[Event]:
        """Take in bytes from the peer. Raises `ProtocolError`; what came after a close frame is dropped."""
        if self._connection.state in (ConnectionState.CLOSED, ConnectionState.REMOTE_CLOSING):
            return []
        self._connection.receive_data(data)
        events: list[Event] = []
        for event in self._connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                events.append(self._piece(event))
            elif isinstance(event, Ping) and self.open:
                self._out.append(self._connection.send(Pong(payload=bytes(event.payload))))
            elif isinstance(event, CloseConnection):
                events.append(self._closed(event))
                break
        return events

    def send(self, payload: bytes, *, text: bool = False) -> None:
        """Send a whole message. Nothing happens when the connection is closing."""
        if self.open:
            message = TextMessage(data=payload.decode()) if text else BytesMessage(data=payload)
            self._out.append(self._connection.send(message))

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life."""
        if self.open:
            self._out.append(self._connection.send(Ping(payload=payload)))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin to close, or answer the peer's close. Safe to repeat."""
        if self._connection.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            self._out.append(self._connection.send(CloseConnection(code=code, reason=reason or None)))

    def _piece(self, event: TextMessage | BytesMessage) -> Data:
        text = isinstance(event.data, str)
        payload = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
        piece = Data(payload, text, self._start, event.message_finished)
        self._start = event.message_finished
        return piece

    def _closed(self, event: CloseConnection) -> Closed:
        code = int(event.code)
        if self._connection.state is ConnectionState.OPEN:
            # wsproto tells of broken frames as if the peer had closed, but leaves the state as it was.
            self.close(code, event.reason or "")
            raise ProtocolError(event.reason or "broken WebSocket frame")
        try:
            self.close(NORMAL if code in _UNSENDABLE else code)
        except _WsprotoError as error:
            raise ProtocolError(str(error)) from error
        return Closed(code, event.reason or "")


def _tokens(value: str) -> set[str]:
    return {part.strip().lower() for part in value.split(",")}


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False
