"""TLS of the server's connections, with OpenSSL at the other end and no sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.component_base import http_limits
from knarr.component_base.certificates import Authority, Leaf, leaf_files
from knarr.component_base.clock import RealClock
from knarr.component_base.tls_transport import Shared, TlsTransport

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
NOW = RealClock().now()  # TLS compares with the real clock


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """The server's and the client's."""
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority.load_or_create(directory, "ca", NOW)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*leaf_files(authority, directory, "server", Leaf("s", dns=["here"], server=True), NOW))
    server.verify_mode = ssl.CERT_OPTIONAL
    server.load_verify_locations(directory / "ca.crt")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(directory / "ca.crt")
    client.load_cert_chain(*leaf_files(authority, directory, "client", Leaf("me", ["us"], client=True), NOW))
    return server, client


def in_a_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class Wire(asyncio.Transport):
    """The plain transport: what was sent over it, and whether it is read from."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.closed = self.aborted = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert data
        assert not self.closed
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


class Echo(asyncio.BufferedProtocol):
    """Answers everything with itself; stops reading at `?`, closes at `!`, breaks at `#`."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(http_limits.READ))
        self.got = bytearray()
        self.transport: asyncio.Transport | None = None
        self.ended = self.crowded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert self.transport is not None
        data = bytes(self.buffer[:nbytes])
        if b"#" in data:
            raise ArithmeticError
        self.got += data
        self.transport.write(data)
        if b"?" in data:
            self.transport.pause_reading()
        if b"!" in data:
            self.transport.close()

    def pause_writing(self) -> None:
        self.crowded = True

    def resume_writing(self) -> None:
        self.crowded = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


class Peer:
    """A client of a `TlsTransport`."""

    def __init__(self, shared: Shared, client: ssl.SSLContext) -> None:
        self._incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.wrap_bio(self._incoming, self.outgoing, server_hostname="here")
        self.wire, self.echo, self._shared = Wire(), Echo(), shared
        self.server = TlsTransport(shared, self.echo)
        self.server.connection_made(self.wire)

    def deliver(self, data: bytes) -> None:
        """Bytes come to the server; nothing may stay in what connections share."""
        self.server.get_buffer(-1)[: len(data)] = data
        try:
            self.server.buffer_updated(len(data))
        finally:
            assert not self._shared.incoming.pending
            assert not self._shared.outgoing.pending

    def hear(self) -> None:
        self._incoming.write(self.wire.sent)
        self.wire.sent.clear()

    def shake_hands(self, step: int = http_limits.READ) -> None:
        for _ in range(3):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            self.push(step)
            self.hear()
        assert self.echo.transport is self.server

    def push(self, step: int = http_limits.READ) -> None:
        data = self.outgoing.read()
        for start in range(0, len(data), step):
            self.deliver(data[start : start + step])

    def say(self, data: bytes) -> None:
        self.tls.write(data)
        self.push()

    def read(self) -> bytes:
        """All that the server has sent; raises `SSLZeroReturnError` behind its farewell."""
        self.hear()
        data = b""
        try:
            while part := self.tls.read(http_limits.READ):
                data += part
        except ssl.SSLWantReadError:
            return data
        return data + b"<end>"


def connect(contexts: Contexts, count: int = 1) -> list[Peer]:
    shared = Shared(contexts[0])
    peers = [Peer(shared, contexts[1]) for _ in range(count)]
    for peer in peers:
        peer.shake_hands()
    assert not shared.handshakes
    return peers


@in_a_loop
async def test_bytes_may_come_one_by_one(contexts: Contexts) -> None:
    peer = Peer(Shared(contexts[0]), contexts[1])
    peer.shake_hands(step=1)
    peer.tls.write(b"hello")
    peer.push(step=1)
    assert peer.read() == b"hello"


@in_a_loop
async def test_the_clients_certificate_is_told(contexts: Contexts) -> None:
    (peer,) = connect(contexts)
    subject = dict(pair for part in peer.server.get_extra_info("peercert")["subject"] for pair in part)
    assert subject == {"organizationName": "us", "commonName": "me"}
    assert peer.server.get_extra_info("ssl_object").getpeercert(binary_form=True)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40_000), st.integers(1, 30_000)), max_size=12))
def test_connections_that_share_memory_do_not_meet(contexts: Contexts, turns: Iterable[tuple[int, int, int]]) -> None:
    """Each says something in turn, of which a part arrives, and the rest before what it says next."""

    async def run() -> None:
        peers = connect(contexts, 3)
        said, late = [bytearray() for _ in peers], [b"" for _ in peers]
        for number, length, arrived in turns:
            said[number] += b"%d" % number * length
            peers[number].tls.write(b"%d" % number * length)
            data = late[number] + peers[number].outgoing.read()
            late[number] = data[arrived:]
            for start in range(0, arrived, http_limits.READ):
                if part := data[:arrived][start : start + http_limits.READ]:
                    peers[number].deliver(part)
        for number, peer in enumerate(peers):
            for start in range(0, len(late[number]), http_limits.READ):
                peer.deliver(late[number][start : start + http_limits.READ])
            assert peer.read() == peer.echo.got == said[number]

    asyncio.run(run())


@in_a_loop
async def test_what_the_reader_does_not_want_yet_waits(contexts: Contexts) -> None:
    one, other = connect(contexts, 2)
    for word in (b"one?", b"two", b"three"):
        one.tls.write(word)
    one.push()
    assert one.wire.paused
    assert one.read() == b"one?"
    other.say(b"still served")
    assert other.read() == b"still served"
    one.server.resume_reading()
    await asyncio.sleep(0)
    assert one.read() == b"twothree"
    assert not one.wire.paused


@in_a_loop
async def test_closing_says_farewell_and_reads_no_more(contexts: Contexts) -> None:
    (peer,) = connect(contexts)
    peer.tls.write(b"bye!")
    peer.tls.write(b"and this?")
    peer.push()
    assert peer.read() == b"bye!<end>"
    assert peer.echo.got == b"bye!"
    assert not peer.wire.closed, "who closes while the other end still sends may take from it what it has not read yet"
    peer.tls.write(b"not heard")
    peer.push()
    peer.server.write(b"too late")
    assert not peer.wire.sent
    with contextlib.suppress(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.push()
    assert peer.wire.closed
    peer.server.connection_lost(None)
    assert peer.echo.ended


@in_a_loop
async def test_a_client_that_says_farewell_is_closed(contexts: Contexts) -> None:
    (peer,) = connect(contexts)
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.push()
    assert peer.wire.closed
    assert not peer.wire.aborted


@in_a_loop
async def test_closing_does_not_eat_what_another_connection_is_about_to_read(
    contexts: Contexts,
) -> None:
    one, other = connect(contexts, 2)
    one.tls.write(b"first")
    one.tls.write(b"second")
    real = one.echo.buffer_updated

    def close_other(nbytes: int) -> None:
        real(nbytes)
        other.server.close()

    one.echo.buffer_updated = close_other  # type: ignore[method-assign]
    one.push()
    assert one.read() == b"firstsecond"
    assert other.read() == b"<end>"


@in_a_loop
async def test_a_fault_of_one_reader_leaves_the_others_whole(
    contexts: Contexts,
) -> None:
    one, other = connect(contexts, 2)
    one.tls.write(b"#")
    one.tls.write(b"unread")
    with pytest.raises(ArithmeticError):
        one.push()
    other.say(b"fine")
    assert other.read() == b"fine"


@pytest.mark.parametrize("junk", [b"\x17\x03\x03\x00\x20" + b"j" * 32, b"\x16\x03\x03\x00\x04\x00\x00\x00\x00"])
@in_a_loop
async def test_records_that_are_none_end_the_connection(contexts: Contexts, junk: bytes) -> None:
    (peer,) = connect(contexts)
    peer.deliver(junk)
    assert peer.wire.aborted
    assert not peer.echo.got


@in_a_loop
async def test_who_speaks_plain_http_is_told(contexts: Contexts) -> None:
    peer = Peer(Shared(contexts[0]), contexts[1])
    peer.deliver(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    assert peer.wire.sent.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert peer.wire.closed


@in_a_loop
async def test_a_handshake_that_fails_is_answered_with_an_alert(
    contexts: Contexts,
) -> None:
    shared = Shared(contexts[0])
    peer = Peer(shared, contexts[1])
    peer.deliver(b"\x16\x03\x01\x00\x05hello")
    assert peer.wire.sent[:1] == b"\x15"
    assert peer.wire.closed
    peer.server.connection_lost(None)
    assert not shared.handshakes
    assert not peer.echo.ended, "nobody has told it of a connection"


@in_a_loop
async def test_flow_control_is_passed_on(contexts: Contexts) -> None:
    (peer,) = connect(contexts)
    peer.server.pause_writing()
    assert peer.echo.crowded
    peer.server.resume_writing()
    assert not peer.echo.crowded
