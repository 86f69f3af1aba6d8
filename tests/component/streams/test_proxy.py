"""The proxy subresources, from a client through the API server to a backend."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from tests.component.streams.runtime import ProcessWorld as World
from tests.component.streams.runtime import processes
from tests.component.streams.world import NODE, pod, run_loop, world

from knarr.apimachinery.types import Object
from knarr.component_base import http_client
from knarr.component_base.http import RawStream, Request, Response
from knarr.component_base.http_client import Incoming, Outgoing
from knarr.component_base.http_server import HttpServer

POD_PROXY = "/api/v1/namespaces/default/pods/p:80/proxy"
SERVICE_PROXY = "/api/v1/namespaces/default/services/s:http/proxy"
PAGE = b'<html><body><a href="/next?a=1&amp;b">x</a><img src="rel.png"><a href="http://other/x">y</a></body></html>'


broken_uploads: list[int] = []


async def backend(request: Request) -> Response:
    """Tells what it was asked, and has a few pages."""
    if request.path == "/page":
        return Response(200, PAGE, "text/html; charset=utf-8")
    if request.path == "/packed":
        return Response(200, gzip.compress(PAGE), "text/html", {"Content-Encoding": "gzip"})
    if request.path == "/moved":
        return Response(302, b"", "", {"Location": "/there/"})
    if request.path == "/empty":
        return Response(204, b"", "")
    if request.path == "/big":
        return Response(200, bytes(50_000_000), "application/octet-stream")
    if request.stream is not None:
        size = 0
        try:
            async for piece in request.stream:
                size += len(piece)
        except ConnectionError:
            broken_uploads.append(size)
            raise
        return Response(200, b"%d %d" % (size, "content-length" in request.headers), "text/plain")
    if request.headers.get("upgrade") == "echo":
        return Response(101, b"", "", {"Connection": "Upgrade", "Upgrade": "echo"}, upgrade=echo)
    seen = {
        "method": request.method,
        "path": request.path,
        "query": request.raw_query,
        "body": request.body.decode(),
        "headers": request.headers,
    }
    response = Response(200, orjson.dumps(seen))
    response.repeated = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    return response


async def echo(stream: RawStream) -> None:
    while data := await stream.read():
        stream.write(data.upper())
        await stream.drain()


def run(directory: Path, test: Callable[[World], Awaitable[None]]) -> None:
    @asynccontextmanager
    async def serving():  # type: ignore[no-untyped-def]
        server = HttpServer(backend, None, streams_body=lambda _method, path: path == "/upload")
        port = await server.listen("127.0.0.1", 0)
        try:
            yield port
        finally:
            await server.close()

    async def main() -> None:
        async with asyncio.timeout(90), processes() as runtime, world(directory, runtime) as made, serving() as port:
            made.add(pod())
            made.objects.put("services", service())
            made.objects.put("endpointslices", endpoints())
            made.detours["10.42.0.9:80"] = made.detours["10.42.0.9:8080"] = ("127.0.0.1", port)
            await test(made)

    run_loop(main())


def service() -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": ports}}


def endpoints(target: str = "p", address: str = "10.42.0.9") -> Object:
    endpoint = {"addresses": [address], "targetRef": {"kind": "Pod", "name": target, "namespace": "default"}}
    return {
        "metadata": {"name": "s-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [endpoint],
    }


async def ask(made: World, method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Incoming:
    return await http_client.send(made.api, Outgoing(method, target, headers, body))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("prefix", [POD_PROXY, SERVICE_PROXY, SERVICE_PROXY.replace("http", "80")])
def test_requests_arrive_whole_and_without_credentials(method: str, prefix: str, tmp_path: Path) -> None:
    async def test(made: World) -> None:
        headers = [("Authorization", "Bearer t"), ("Impersonate-User", "x"), ("X-Own", "1"), ("Host", "front:1")]
        answer = await ask(made, method, f"{prefix}/a%20b/c/?q=%2F&q=2", *headers, body=b"data")
        assert answer.status == 200
        assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
        seen = orjson.loads(await answer.read(1 << 20))
        assert (seen["method"], seen["path"], seen["query"]) == (method, "/a b/c/", "q=%2F&q=2")
        assert seen["body"] == "data"
        got = seen["headers"]
        assert got["x-own"] == "1" and got["host"] == "front:1"
        assert got["x-forwarded-for"] == "127.0.0.1"
        assert got["x-forwarded-uri"] == f"{prefix}/a%20b/c/"
        assert not {"authorization", "impersonate-user"} & set(got)

    run(tmp_path, test)


def test_a_path_without_a_slash_is_sent_on_to_one_with(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        answer = await ask(made, "GET", POD_PROXY + "?a=1")
        assert (answer.status, answer.header("location")) == (301, POD_PROXY + "/?a=1")
        answer = await ask(made, "POST", POD_PROXY)
        assert orjson.loads(await answer.read(1 << 20))["path"] == "/"

    run(tmp_path, test)


def test_links_and_redirects_lead_through_the_proxy(tmp_path: Path) -> None:
    changed = PAGE.replace(b"/next", POD_PROXY.encode() + b"/next")

    async def test(made: World) -> None:
        answer = await ask(made, "GET", POD_PROXY + "/page")
        assert await answer.read(1 << 20) == changed
        answer = await ask(made, "GET", POD_PROXY + "/packed", ("Accept-Encoding", "gzip"))
        assert gzip.decompress(await answer.read(1 << 20)) == changed
        answer = await ask(made, "GET", POD_PROXY + "/moved")
        assert (answer.status, answer.header("location")) == (302, POD_PROXY + "/there/")

    run(tmp_path, test)


def test_answers_without_a_body_and_large_ones(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        assert (await ask(made, "GET", POD_PROXY + "/empty")).status == 204
        head = await ask(made, "HEAD", POD_PROXY + "/big")
        assert (head.status, head.header("content-length")) == (200, "50000000")
        assert await head.connection.read() == b""
        big = await ask(made, "GET", POD_PROXY + "/big")
        assert big.header("content-length") == "50000000"
        size = 0
        async for chunk in big:
            size += len(chunk)
        assert size == 50_000_000

    run(tmp_path, test)


def test_large_uploads_go_through(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(500):
            yield bytes(100_000)

    async def test(made: World) -> None:
        for length, told in ((None, b"50000000 0"), (50_000_000, b"50000000 1")):
            upload = Outgoing("PUT", POD_PROXY + "/upload", (), pieces(), length)
            answer = await http_client.send(made.api, upload)
            assert (answer.status, await answer.read(100)) == (200, told)

    run(tmp_path, test)


def test_an_upload_that_breaks_off_is_no_whole_one(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(1000)
        raise ConnectionAbortedError

    async def test(made: World) -> None:
        broken_uploads.clear()
        with pytest.raises(ConnectionAbortedError):
            await http_client.send(made.api, Outgoing("PUT", POD_PROXY + "/upload", (), pieces(), 2000))
        while not broken_uploads:  # noqa: ASYNC110 - the backend notices it in its own time
            await asyncio.sleep(0.01)
        assert broken_uploads == [1000]

    run(tmp_path, test)


def test_upgrades_go_through(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        answer = await ask(made, "GET", POD_PROXY + "/", ("Connection", "Upgrade"), ("Upgrade", "echo"))
        assert (answer.status, answer.header("upgrade")) == (101, "echo")
        answer.connection.write(b"hello")
        assert await answer.connection.read() == b"HELLO"
        await answer.aclose()
        refused = await ask(made, "GET", POD_PROXY + "/", ("Connection", "Upgrade"), ("Upgrade", "nothing"))
        assert refused.status == 500

    run(tmp_path, test)


def test_backends_that_cannot_be_reached(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        made.detours["10.42.0.9:81"] = ("127.0.0.1", 1)
        answer = await ask(made, "GET", "/api/v1/namespaces/default/pods/p:81/proxy/")
        assert answer.status == 503
        message = orjson.loads(await answer.read(1 << 20))["message"]
        assert message == "error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused"

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("pods/none", 404, 'pods "none" not found'),
        ("pods/a:b:c:d", 400, 'invalid pod request "a:b:c:d"'),
        ("pods/ftp:p:80", 400, 'invalid pod request "ftp:p:80"'),
        ("pods/local", 400, "address not allowed"),
        ("services/none", 404, 'services "none" not found'),
        ("services/s:81", 503, 'no service port 81 found for service "s"'),
        ("services/s:other", 503, 'no endpoints available for service "s:other"'),
    ],
)
def test_refusals_are_those_of_kubernetes(target: str, status: int, message: str, tmp_path: Path) -> None:
    async def test(made: World) -> None:
        made.add(pod("local", podIP="127.0.0.1", podIPs=[{"ip": "127.0.0.1"}]))
        answer = await ask(made, "GET", f"/api/v1/namespaces/default/{target}/proxy/")
        body = orjson.loads(await answer.read(1 << 20))
        assert (answer.status, body["message"]) == (status, message)

    run(tmp_path, test)


def test_a_service_leads_to_pods_alone(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        for slice_ in (endpoints(address="10.42.0.10"), endpoints(target="gone")):
            made.objects.put("endpointslices", slice_)
            answer = await ask(made, "GET", "/api/v1/namespaces/default/services/s:http/proxy/")
            assert answer.status == 503
            await answer.aclose()

    run(tmp_path, test)


def test_a_nodes_kubelet_is_asked_as_the_api_server(tmp_path: Path) -> None:
    async def test(made: World) -> None:
        made.reviews.allowed.add(("kube-apiserver", "healthz"))
        answer = await ask(made, "GET", f"/api/v1/nodes/{NODE}/proxy/healthz")
        assert (answer.status, await answer.read(100)) == (200, b"ok")
        port = made.kubelet.port
        answer = await ask(made, "GET", f"/api/v1/nodes/https:{NODE}:{port}/proxy/pods")
        assert orjson.loads(await answer.read(1 << 20))["items"][0]["metadata"]["name"] == "p"
        answer = await ask(made, "GET", f"/api/v1/nodes/{NODE}:1/proxy/pods")
        assert answer.status == 400

    run(tmp_path, test)
