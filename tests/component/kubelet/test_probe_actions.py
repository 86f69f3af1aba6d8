"""Probes against real sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from knarr.component_base.clock import RealClock
from knarr.cri.fake import FakeRuntime
from knarr.kubelet.probe_actions import ActionError, Outcome, Target, act

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(answer: bytes, seen: list[bytes] | None = None) -> AsyncIterator[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if seen is not None:
                seen.append(head)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def probe(spec: dict[str, Any], container: dict[str, Any] | None = None, timeout: float = 1) -> Awaitable[Outcome]:
    target = Target(container or {"name": "c"}, "id", "127.0.0.1")
    return act(spec, target, timeout, FakeRuntime(RealClock()))


@pytest.mark.parametrize(("status", "success"), [(200, True), (302, True), (404, False), (500, False)])
def test_http_succeeds_below_400(status: int, success: bool) -> None:
    async def test() -> None:
        seen: list[bytes] = []
        async with serving(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status, seen) as port:
            headers = [{"name": "X-A", "value": "b"}]
            action = {"path": "/healthz?x=1", "port": "web", "httpHeaders": headers}
            outcome = await probe({"httpGet": action}, {"name": "c", "ports": [{"name": "web", "containerPort": port}]})
        assert outcome.success is success
        if not success:
            assert outcome.message == f"HTTP probe failed with statuscode: {status}"
        assert seen[0].startswith(b"GET /healthz?x=1 HTTP/1.1\r\n") and b"X-A: b" in seen[0]
        assert b"User-Agent: kube-probe/1.36" in seen[0]

    asyncio.run(test())


def test_a_redirect_to_elsewhere_is_a_success_with_a_warning() -> None:
    async def test() -> None:
        answer = b"HTTP/1.1 302 X\r\nLocation: http://example.invalid/\r\nContent-Length: 0\r\n\r\n"
        async with serving(answer) as port:
            outcome = await probe({"httpGet": {"port": port}})
        assert outcome.success and outcome.warning

    asyncio.run(test())


def test_nobody_listening_and_nobody_answering_fail_in_kubernetes_words() -> None:
    async def test() -> None:
        async with serving(b"") as port:
            pass
        refused = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
        assert await probe({"tcpSocket": {"port": port}}) == Outcome(False, refused)
        assert await probe({"httpGet": {"port": port}}) == Outcome(False, f'Get "http://127.0.0.1:{port}/": {refused}')
        grpc = await probe({"grpc": {"port": port}})
        assert not grpc.success and grpc.message.endswith(f": {refused}")
        waiting: list[asyncio.Future[None]] = []

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting.append(done)
            while await reader.read(1024):
                pass
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            done.set_result(None)

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        slow = await probe({"httpGet": {"port": port}}, timeout=0.05)
        assert slow.message.endswith("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        assert await probe({"tcpSocket": {"port": port}}) == Outcome(True)
        server.close()
        await server.wait_closed()
        await asyncio.gather(*waiting)

    asyncio.run(test())


def test_an_unknown_port_cannot_be_tried() -> None:
    async def test() -> None:
        with pytest.raises(ActionError, match="couldn't find port: web"):
            await probe({"tcpSocket": {"port": "web"}})

    asyncio.run(test())
