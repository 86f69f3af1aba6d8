"""Bytes that are hardly HTTP: each request gets one well-formed answer or the connection ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from tests.fuzz.cases import fuzz, mutated
from tests.fuzz.server import Server

_shared: list[Server] = []
_PATHS = st.sampled_from(
    [
        b"/api/v1/namespaces/fuzz/pods/pod",
        b"/api/v1/namespaces/fuzz/configmaps",
        b"*",
        b"http://x/healthz",
        b"/%2e%2e/%00",
        b"x",
        b"/api/v1/namespaces/fuzz%2Fpods",
        b"/" + b"a" * 9000,
        b"/api/v1/pods?watch=1&timeoutSeconds=1",
        b"/\xff?\xff=%ff",
        b"/?&&=&;",
    ]
)
_METHODS = st.sampled_from(
    [b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"PRI", b"BOGUS", b"get", b"G T", b""]
)
_VERSIONS = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"ICY", b""])
_HEADERS = st.sampled_from(
    [
        b"Host: h",
        b"Host: h",
        b"Host: h",
        b"host:",
        b"Content-Length: 2",
        b"Content-Length: -1",
        b"Content-Length: 99999999999",
        b"Content-Length: 2, 2",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: x",
        b"Connection: close",
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"Upgrade: h2c",
        b"Expect: 100-continue",
        b"Expect: x",
        b"Accept-Encoding: gzip",
        b"Content-Type: application/json",
        b" folded",
        b"no colon",
        b": empty",
        b"a\0b: c",
        b"X: \xff\x00",
        b"A: " + b"b" * 20_000,
        b"Connection: keep-alive",
        b"Cookie: a",
        b"Trailer: X",
    ]
)
_BODIES = st.sampled_from(
    [
        b"",
        b"{}",
        b"2\r\n{}\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFF\r\n",
        b"-1\r\n",
        b"2;x=" + b"y" * 5000 + b"\r\n{}\r\n0\r\n\r\n",
        b"0\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
    ]
)
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [A-Za-z ]*\r\n")


@pytest.fixture(autouse=True, scope="module")
def server() -> Iterator[None]:
    _shared.append(Server())
    yield
    _shared.pop().close()


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Something like one request."""
    line = b" ".join([draw(_METHODS), draw(_PATHS), draw(_VERSIONS)])
    headers = draw(st.lists(_HEADERS, max_size=5))
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]))
    return end.join([line, *headers, b"", b""]) + draw(_BODIES)


traffic = st.one_of(
    st.lists(messages(), min_size=1, max_size=4).map(b"".join),
    mutated(st.lists(messages(), min_size=1, max_size=3).map(b"".join)),
    st.binary(max_size=60),
)


@fuzz(125, 15_000, data=traffic, cuts=st.lists(st.integers(0, 100_000), max_size=4))
def test_traffic(data: bytes, cuts: list[int]) -> None:
    server = _shared[-1]
    wire = server.connect()
    answers = server.run(wire.send(data, cuts))
    statuses = [int(status) for status in _STATUS_LINE.findall(answers)]
    final = [status for status in statuses if status != 100]
    assert not answers or answers.startswith(b"HTTP/1.1 ")
    assert len(final) <= wire.requests + 1, "more answers than requests"
    assert wire.closed or len(final) == wire.requests, "a request without an answer"
