"""What only a transport over the network meets: connections that break, credentials that change, TLS."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.suites.client.conftest import tls_pair

from knarr.client.http import HttpTransport
from knarr.component_base.http import Request, Response
from knarr.component_base.http_server import HttpServer
from knarr.component_base.kubeconfig import Access
from knarr.component_base.metrics import Registry

Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def raw_server(serve: Serving) -> AsyncIterator[HttpTransport]:
    """A server that speaks bytes as a test has them."""

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    transport = HttpTransport(Access(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    try:
        yield transport
    finally:
        await transport.close()
        server.close()
        await server.wait_closed()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_whole_is_none(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)

    async def scenario() -> None:
        async with raw_server(serve) as transport, asyncio.timeout(90):
            with pytest.raises(ConnectionError):
                await transport.request("GET", "/", {})

    asyncio.run(scenario())


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nall of it")

    async def scenario() -> None:
        async with raw_server(serve) as transport, asyncio.timeout(90):
            answer = await transport.request("GET", "/", {})
            assert (answer.status, answer.headers, answer.body) == (200, {"a": "b"}, b"all of it")

    asyncio.run(scenario())


def test_a_read_is_sent_again_when_its_kept_connection_was_closed_and_a_write_is_not() -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(OK)
        heads.append(await read_head(reader))  # and closes without an answer

    async def scenario() -> None:
        async with raw_server(serve) as transport, asyncio.timeout(90):
            await transport.request("GET", "/1", {})
            assert (await transport.request("GET", "/2", {})).status == 200
            with pytest.raises(ConnectionError):
                await transport.request("DELETE", "/3", {})
        assert [head.split()[1] for head in heads] == [b"/1", b"/2", b"/2", b"/3"]

    asyncio.run(scenario())


def test_nobody_listening_is_a_connection_error() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        transport = HttpTransport(Access(f"http://127.0.0.1:{port}"))
        with pytest.raises(ConnectionError, match=f"dial tcp 127.0.0.1:{port}"):
            await transport.request("GET", "/", {})

    asyncio.run(scenario())


def test_a_cancelled_request_gives_its_connection_up() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        if await reader.read() == b"":
            closed.set()

    async def scenario() -> None:
        async with raw_server(serve) as transport, asyncio.timeout(90):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await transport.request("GET", "/", {})
            await closed.wait()

    asyncio.run(scenario())


def test_credentials_can_be_renewed_and_strangers_are_refused(tmp_path: Path) -> None:
    context, access = tls_pair(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, stranger = tls_pair(other)

    async def handler(request: Request) -> Response:
        name = request.peer[0] if request.peer else "nobody"
        return Response(200, f"{name} {request.headers.get('authorization', '-')}".encode())

    async def scenario() -> None:
        server = HttpServer(handler, context)
        address = f"https://127.0.0.1:{await server.listen('127.0.0.1', 0)}"
        access_here = dataclasses.replace(access, server=address)
        transport = HttpTransport(access_here)
        assert (await transport.request("GET", "/", {})).body == b"alice Bearer secret"
        transport.renew(dataclasses.replace(access_here, certificate=b"", key=b"", token="fresh"))
        assert (await transport.request("GET", "/", {})).body == b"nobody Bearer fresh"
        transport.renew(dataclasses.replace(access_here, authority=stranger.authority))
        with pytest.raises(ConnectionError, match="certificate verify failed"):
            await transport.request("GET", "/", {})
        transport.renew(dataclasses.replace(access_here, server=address.replace("127.0.0.1", "localhost")))
        with pytest.raises(ConnectionError, match="certificate"):
            await transport.request("GET", "/", {})
        transport.renew(dataclasses.replace(access_here, authority=b"", insecure=True))
        assert (await transport.request("GET", "/", {})).status == 200
        await transport.close()
        await server.close()

    asyncio.run(scenario())


def test_an_unusable_access_is_refused_at_once(tmp_path: Path) -> None:
    _, access = tls_pair(tmp_path)
    with pytest.raises(ValueError, match="no address"):
        HttpTransport(Access("localhost:6443"))
    with pytest.raises(ValueError, match="no use"):
        HttpTransport(dataclasses.replace(access, server="https://a", key=b"nonsense"))


def test_a_slow_reader_makes_the_server_wait() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 64:
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            sent += 1

    async def scenario() -> None:
        async with raw_server(serve) as transport, asyncio.timeout(90):
            stream = await transport.stream("GET", "/log", [("follow", "true")])
            total = len(await anext(stream))
            for _ in range(200):
                await asyncio.sleep(0.001)
            assert sent < 40
            async for chunk in stream:
                total += len(chunk)
            assert total == 64_000_000

    asyncio.run(scenario())


def test_requests_are_counted_by_code_and_method() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        if head.startswith(b"GET"):
            writer.write(OK.replace(b"Content-Length", b"Connection: close\r\nContent-Length"))
            await writer.drain()

    async def main() -> None:
        async with raw_server(serve) as transport:
            await transport.request("GET", "/", {})
            with pytest.raises(ConnectionError):
                await transport.request("POST", "/", {})
            lines = Registry(transport.metrics.families()).text().decode().splitlines()
        counted = [line.partition(",host=")[0] for line in lines if line.startswith("rest_client_requests_total")]
        assert counted == [
            'rest_client_requests_total{code="200",method="GET"',
            'rest_client_requests_total{code="<error>",method="POST"',
        ]

    asyncio.run(main())
