"""One connection of the HTTP server, byte by byte, without sockets."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.component_base import http_limits
from knarr.component_base.http import Pieces, Request, Response, Runs
from knarr.component_base.http_connection import Connection
from knarr.component_base.http_repeats import RepeatOf
from knarr.component_base.http_server import HttpServer

BIG = b"x" * 1_000_000


class Client(asyncio.Transport):
    """The client's end: what the server wrote, and whether it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.unread = 0
        self.closed = self.aborted = self.reading_paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.unread += len(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        assert not self.reading_paused
        self.reading_paused = True

    def resume_reading(self) -> None:
        assert self.reading_paused
        self.reading_paused = False

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    @property
    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.written.split(b"HTTP/1.1 ")[1:]]


async def slowly(request: Request) -> Response:
    await asyncio.sleep(0)
    return Response(200, f"{request.method} {request.path} {len(request.body)}".encode(), "text/plain")


async def endless(_request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield BIG
            await asyncio.sleep(0)

    return Response(200, chunks())


def connect(
    handler: Callable[[Request], object] = slowly,
    quick: Callable[[Request], Response | None] | None = None,
    repeat: RepeatOf | None = None,
) -> tuple[Connection, Client]:
    connection = Connection(HttpServer(handler, None, quick, repeat=repeat))  # type: ignore[arg-type]
    client = Client()
    connection.connection_made(client)
    return connection, client


def feed(connection: Connection, data: bytes) -> None:
    """Let bytes come in as a transport does."""
    for at in range(0, len(data), http_limits.READ):
        part = data[at : at + http_limits.READ]
        connection.get_buffer(-1)[: len(part)] = part
        connection.buffer_updated(len(part))


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


REFUSED: list[tuple[bytes, int]] = [
    (b"GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
    (b"GET /a HTTP/3.0\r\nHost: h\r\n\r\n", 400),
    (b"GET /?" + b"a&" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    (b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET /a HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n", 417),
    (b"GET /a HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 200_000 + b"x: " + BIG, 431),
    (b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + 2 * BIG, 431),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400),
]


async def refused(sent: bytes, status: int) -> None:
    connection, client = connect()
    feed(connection, sent)
    await settle()
    assert client.statuses == [status]
    feed(connection, GET)
    await settle()
    assert client.statuses == [status]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"BOGUS /a HTTP/1.1\r\nHost: h\r\n\r\n", b"BOGUS /a 0"),
        (b"GET http://other/a%2Fb?x HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /a/b 0"),
        (b"GET /%ff%00 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\ufffd\0 0".encode()),
        (b"GET /a HTTP/1.0\r\n\r\n", b"GET /a 0"),
        (
            b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
            b"POST /a 3",
        ),
    ],
)
def test_unusual_requests_are_understood(sent: bytes, answer: bytes) -> None:
    async def run() -> None:
        for step in (len(sent), 1):
            connection, client = connect()
            if step == 1 and sent.startswith(b"BOGUS"):
                continue
            for at in range(0, len(sent), step):
                feed(connection, sent[at : at + step])
            await settle()
            assert client.written.endswith(b"\r\n\r\n" + answer)

    asyncio.run(run())


@pytest.mark.parametrize(("sent", "status"), REFUSED)
def test_bad_requests_are_refused_once(sent: bytes, status: int) -> None:
    asyncio.run(refused(sent, status))


def test_of_several_requests_with_unknown_methods_the_first_is_answered_once() -> None:
    async def run() -> None:
        connection, client = connect()
        feed(connection, b"BOGUS /a HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        await settle()
        assert client.statuses[0] == 200 and 200 not in client.statuses[1:]
        assert client.written.count(b"BOGUS /a") == 1

    asyncio.run(run())


def test_pipelined_requests_are_answered_in_order_and_not_read_without_limit() -> None:
    async def run() -> None:
        connection, client = connect()
        count = 5 * http_limits.MAX_PIPELINED
        feed(connection, b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % i for i in range(count)))
        assert client.reading_paused
        for _ in range(20):
            await settle()
        assert not client.reading_paused
        paths = [part.split(b"GET /")[1].split(b" ")[0] for part in client.written.split(b"HTTP/1.1 ")[1:]]
        assert paths == [b"%d" % i for i in range(count)]

    asyncio.run(run())


def test_answers_wait_for_a_client_that_does_not_read() -> None:
    async def run() -> None:
        connection, client = connect(quick=lambda _: Response(200, BIG, "text/plain"))
        feed(connection, GET)
        connection.pause_writing()
        size = len(client.written)
        feed(connection, GET * 100)
        assert len(client.written) == size
        assert client.reading_paused
        client.unread = 0
        connection.resume_writing()
        assert client.statuses == [200] * 101

    asyncio.run(run())


def test_a_client_that_takes_nothing_is_cut_and_a_slow_one_is_not() -> None:
    async def run() -> None:
        connection, client = connect(endless)
        feed(connection, GET)
        await settle()
        connection.pause_writing()
        now = connection._stalled
        assert now is not None
        connection.check(now + 1)
        client.unread -= 2 * http_limits.HIGH_WATER
        connection.check(now + http_limits.SLOW_CLIENT + 2)
        assert not client.aborted
        connection.check(now + 2 * http_limits.SLOW_CLIENT + 4)
        assert client.aborted
        connection.connection_lost(None)
        await settle()
        assert len(connection._server.tasks) == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "after", "statuses"),
    [
        (b"GET /a HTTP/1.1\r\nHo", http_limits.HEAD_TIME, []),
        (b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", http_limits.BODY_TIME, [408]),
        (b"", http_limits.IDLE_TIME, []),
    ],
)
def test_a_client_that_sends_nothing_more_is_cut(sent: bytes, after: float, statuses: list[int]) -> None:
    async def run() -> None:
        connection, client = connect()
        feed(connection, sent)
        now = connection._incoming.since
        connection.check(now + after - 1)
        assert not client.closed and not client.statuses
        connection.check(now + after + 1)
        await asyncio.sleep(http_limits.LINGER * 1.1 if statuses else 0)
        assert client.closed
        assert client.statuses == statuses

    asyncio.run(run())


def test_a_body_that_passes_the_limit_is_answered_at_once_and_dropped() -> None:
    async def run() -> None:
        seen: list[Request] = []

        async def handler(request: Request) -> Response:
            seen.append(request)
            return Response(413 if request.oversized else 200)

        connection, client = connect(handler)
        feed(connection, b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(50):
            feed(connection, b"%x\r\n%b\r\n" % (len(BIG), BIG))
            await asyncio.sleep(0)
        assert client.statuses == [413]
        assert [len(request.body) for request in seen] == [0]
        assert b"Connection: close" in client.written

    asyncio.run(run())


def test_trailers_add_no_headers() -> None:
    async def run() -> None:
        seen: list[dict[str, str]] = []

        async def handler(request: Request) -> Response:
            seen.append(request.headers)
            return Response()

        connection, _ = connect(handler)
        head = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        feed(connection, head + b"1\r\na\r\n0\r\nX-Remote-User: admin\r\n\r\n")
        await settle()
        assert "x-remote-user" not in seen[0]

    asyncio.run(run())


def test_bytes_behind_an_upgrade_that_nobody_takes_are_bounded() -> None:
    async def run() -> None:
        connection, client = connect(endless)
        feed(connection, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        feed(connection, b"x" * (http_limits.HIGH_WATER + 1))
        assert client.reading_paused
        connection.connection_lost(None)
        await settle()

    asyncio.run(run())


def test_a_stream_to_an_old_client_ends_with_the_connection() -> None:
    async def run() -> None:
        async def handler(_request: Request) -> Response:
            async def chunks() -> AsyncIterator[bytes]:
                yield b"a"
                yield b"b"

            return Response(200, chunks(), "text/plain")

        connection, client = connect(handler)
        feed(connection, b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        await settle()
        head, _, body = client.written.partition(b"\r\n\r\n")
        assert body == b"ab" and b"chunked" not in head and client.closed

    asyncio.run(run())


def test_large_objects_are_compressed_for_those_who_ask() -> None:
    async def run() -> None:
        connection, client = connect(quick=lambda _: Response(200, BIG))
        feed(connection, b"GET /a HTTP/1.1\r\nHost: h\r\nAccept-Encoding: deflate, gzip\r\n\r\n")
        answering = next(iter(connection._server.tasks._tasks))
        await answering
        head, _, body = client.written.partition(b"\r\n\r\n")
        assert b"Content-Encoding: gzip" in head and gzip.decompress(body) == BIG
        feed(connection, GET)
        assert client.written.endswith(BIG)

    asyncio.run(run())


def test_a_handler_that_breaks_cuts_the_connection() -> None:
    async def run() -> None:
        async def handler(_request: Request) -> Response:
            raise LookupError

        connection, client = connect(handler)
        feed(connection, GET)
        await settle()
        assert client.aborted

    asyncio.run(run())


def test_one_connection_too_many_is_cut() -> None:
    async def run() -> None:
        server = HttpServer(slowly, None)
        server.max_connections = 1
        first, second = Client(), Client()
        Connection(server).connection_made(first)
        Connection(server).connection_made(second)
        assert second.aborted and not first.aborted

    asyncio.run(run())


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=12), *[st.binary(max_size=3)] * 3, st.integers(1, 20))
def test_pieces_are_the_same_in_parts(
    pieces: list[bytes], before: bytes, between: bytes, after: bytes, size: int
) -> None:
    body = Pieces(pieces, before, between, after)
    parts = list(body.batches(size))
    assert b"".join(parts) == bytes(body) == before + between.join(pieces) + after
    assert len(body) == len(bytes(body))
    longest = max(map(len, pieces), default=0)
    assert all(len(part) <= size + longest + len(before) + len(after) + len(between) * size for part in parts)


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=5), *[st.binary(max_size=3)] * 3)
def test_runs_are_sent_as_they_are(runs: list[bytes], before: bytes, between: bytes, after: bytes) -> None:
    body = Runs(runs, before, between, after)
    parts = list(body.batches(1))
    assert b"".join(parts) == bytes(body) == before + between.join(runs) + after
    assert len(parts) == max(len(runs), 1)
    if not between:
        assert all(one is two for one, two in zip(parts[1:-1], runs[1:-1], strict=True))


def gets(request: Request) -> Response | None:
    return Response(200, b"", "text/plain") if request.method == "GET" else None


AGAIN = b"HTTP/1.1 299 again\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        ([GET, GET], [200, 299]),
        ([GET + GET, GET + GET], [200] * 4),
        ([GET + POST, GET + POST], [200] * 4),
        ([POST + GET, POST + GET], [200] * 4),
        ([GET + GET[:9], GET[9:], GET + GET[:9], GET[9:]], [200] * 4),
        ([GET[:9], GET[9:], GET[:9], GET[9:]], [200, 200]),
        ([GET, POST + GET, GET], [200, 200, 200, 299]),
        ([GET.replace(b"/a", b"/b"), GET], [200, 200]),
    ],
)
def test_only_what_was_one_request_as_a_whole_is_answered_again(data: list[bytes], statuses: list[int]) -> None:
    async def run() -> None:
        connection, client = connect(slowly, gets, lambda _request, _response: lambda: AGAIN)
        for part in data:
            feed(connection, part)
            await settle()
        assert client.statuses == statuses

    asyncio.run(run())


def test_what_closes_the_connection_is_not_answered_again() -> None:
    async def run() -> None:
        kept: list[Request] = []
        last = GET.replace(b"Host", b"Connection: close\r\nHost")
        for _ in range(2):
            connection, client = connect(slowly, gets, lambda request, _: kept.append(request))
            feed(connection, last)
            await settle()
            assert client.closed
            assert client.statuses == [200]
        assert not kept

    asyncio.run(run())
