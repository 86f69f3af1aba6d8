"""What every transport must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from tests.suites.client.conftest import Reaching

from knarr.api.registry import CONFIGMAPS, PODS
from knarr.apimachinery.errors import StatusError, expired, not_found
from knarr.client.client import Client
from knarr.component_base.http import Request, Response


def echo(request: Request) -> dict[str, Any]:
    """What of a request both transports must bring over."""
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "body": request.body.decode(),
        "type": request.headers.get("content-type", ""),
        "agent": request.headers["user-agent"],
    }


def who(request: Request) -> str:
    if request.trusted is not None:
        return request.trusted.name
    assert request.peer is not None
    assert request.headers["authorization"] == "Bearer secret"
    return request.peer[0]


def test_requests_arrive_as_they_were_meant(reaching: Reaching) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, orjson.dumps(echo(request)), headers={"Audit-Id": who(request)})

    async def scenario() -> None:
        async with reaching(handler) as transport:
            query = {"labelSelector": "a in (b,c),d!=é&f", "limit": "5"}
            for number in range(3):  # the later ones over a kept connection
                body = b'{"n":%d}' % number
                answer = await transport.request("PATCH", "/api/v1/a%b c", query, body, "application/merge-patch+json")
                assert (answer.status, answer.headers["audit-id"]) == (200, "alice")
                assert answer.headers["content-type"] == "application/json"
                assert orjson.loads(answer.body) == {
                    "method": "PATCH",
                    "path": "/api/v1/a%b c",
                    "query": query,
                    "body": body.decode(),
                    "type": "application/merge-patch+json",
                    "agent": "suite",
                }

    asyncio.run(scenario())


def test_large_bodies_and_streamed_ones_arrive_whole(reaching: Reaching) -> None:
    large = b"x" * 2_500_000

    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(large), 100_000):
            yield large[begin : begin + 100_000]

    async def handler(request: Request) -> Response:
        assert request.body == large
        return Response(200, large if request.method == "PUT" else pieces())

    async def scenario() -> None:
        async with reaching(handler) as transport:
            assert (await transport.request("PUT", "/", {}, large)).body == large
            assert (await transport.request("POST", "/", {}, large)).body == large

    asyncio.run(scenario())


def test_many_requests_run_side_by_side(reaching: Reaching) -> None:
    together = asyncio.Barrier(20)

    async def handler(request: Request) -> Response:
        await together.wait()
        return Response(200, request.path.encode())

    async def scenario() -> None:
        async with reaching(handler) as transport:
            answers = await asyncio.gather(*(transport.request("GET", f"/{n}", {}) for n in range(20)))
            assert [answer.body for answer in answers] == [b"/%d" % n for n in range(20)]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("response", "code", "reason", "message"),
    [
        (Response(404, orjson.dumps(not_found("pods", "", "a").status())), 404, "NotFound", 'pods "a" not found'),
        (Response(503, b"starting", "text/plain"), 503, "", "starting"),
        (Response(502, b""), 502, "", "the server answered 502"),
    ],
)
def test_failures_are_raised(reaching: Reaching, response: Response, code: int, reason: str, message: str) -> None:
    async def handler(request: Request) -> Response:
        return response

    async def scenario() -> None:
        async with reaching(handler) as transport:
            client = Client(transport)
            with pytest.raises(StatusError) as one:
                await client.get(PODS, "a", "default")
            with pytest.raises(StatusError) as two:
                await anext(client.watch(PODS))
            for caught in (one.value, two.value):
                assert (caught.code, caught.reason, caught.message) == (code, reason, message)

    asyncio.run(scenario())


def watch_line(kind: str, obj: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def test_a_watch_gives_events_as_they_come_whatever_the_chunks(reaching: Reaching) -> None:
    lines = [watch_line("ADDED", {"metadata": {"name": f"a{n}", "note": "x" * n * 50}}) for n in range(40)]
    text = b"".join(lines)
    pieces = [text[:7], b"", *(text[begin : begin + 333] for begin in range(7, len(text), 333))]
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield lines[0] + lines[1][:10]
        await go_on.wait()  # the first event is out although the second is not whole
        yield lines[1][10:]
        for piece in pieces:
            yield piece

    async def handler(request: Request) -> Response:
        assert request.query == {"watch": "1", "resourceVersion": "7"}
        return Response(200, body())

    async def scenario() -> None:
        async with reaching(handler) as transport:
            seen = []
            async for event in Client(transport).watch(CONFIGMAPS, "default", resourceVersion="7"):
                seen.append((event.type, event.object["metadata"]["name"]))
                go_on.set()
            assert seen == [("ADDED", "a0"), ("ADDED", "a1"), *(("ADDED", f"a{n}") for n in range(40))]

    asyncio.run(scenario())


def test_an_error_event_is_raised_with_its_code(reaching: Reaching) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield watch_line("ADDED", {"metadata": {"name": "a"}})
        yield watch_line("ERROR", expired("too old resource version: 1 (5)").status())

    async def handler(request: Request) -> Response:
        return Response(200, body())

    async def scenario() -> None:
        async with reaching(handler) as transport:
            events = Client(transport).watch(PODS)
            assert (await anext(events)).type == "ADDED"
            with pytest.raises(StatusError, match="too old") as caught:
                await anext(events)
            assert (caught.value.code, caught.value.reason) == (410, "Expired")

    asyncio.run(scenario())


def test_leaving_a_watch_early_ends_it_at_the_server(reaching: Reaching) -> None:
    ended = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield watch_line("ADDED", {"metadata": {"name": "a"}})
                await asyncio.sleep(0)
        finally:
            ended.set()

    async def handler(request: Request) -> Response:
        return Response(200, body())

    async def scenario() -> None:
        async with reaching(handler) as transport:
            async with aclosing(Client(transport).watch(PODS)) as events:
                await anext(events)
            async with asyncio.timeout(90):
                await ended.wait()

    asyncio.run(scenario())


def test_a_closed_transport_reaches_nobody(reaching: Reaching) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, b"{}")

    async def scenario() -> None:
        async with reaching(handler) as transport:
            await transport.close()
            with pytest.raises(ConnectionError):
                await transport.request("GET", "/", {})

    asyncio.run(scenario())
