"""The requests of one connection, read from its bytes: httptools parses, `Incoming` bounds and puts together.

Knows nothing of transports and answers: what is complete goes to a `Taker`, and so does what is to be refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeAlias

import httptools

from knarr.component_base import http_target
from knarr.component_base.http import Request
from knarr.component_base.http_body import BodyStream
from knarr.component_base.http_format import parse_query
from knarr.component_base.http_limits import MAX_HEAD

#: Tells, by method and path, whether a request's body is handed over as it comes in (`Request.stream`).
StreamsBody: TypeAlias = Callable[[str, str], bool]

#: Names of headers as clients write them, and as they are kept: nearly every request has these.
_KNOWN_NAMES = {
    spelled.encode(): name.lower()
    for name in (
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Authorization", "Content-Type", "Content-Length",
        "Connection", "Kubectl-Command", "Kubectl-Session", "Transfer-Encoding",
    )
    for spelled in (name, name.lower())
}  # fmt: skip
#: Where the parser stands.
BETWEEN, HEAD, BODY = range(3)


class Taker(Protocol):
    """Who takes the requests of a connection."""

    peer: tuple[str, tuple[str, ...]] | None
    fingerprint: str
    issuer: tuple[tuple[tuple[str, str], ...], ...]
    uids: tuple[str, ...]
    remote: str

    def occupied(self) -> bool:
        """Whether a next request has to wait."""
        ...

    def take(self, request: Request, *, keep: bool) -> None:
        """A request is complete; `keep`: the connection goes on after its answer."""
        ...

    def serve(self, request: Request, *, keep: bool) -> None:
        """A request whose body still comes in is to be answered now."""
        ...

    def refuse(self, status: int, text: str) -> None:
        """What came in is no request."""
        ...

    def proceed(self) -> None:
        """The client waits for leave to send the body."""
        ...

    def hold_body(self, on: bool) -> None:  # noqa: FBT001 - the shape a body stream calls
        """Too much of a body waits for its reader; or no longer."""
        ...

    def keep_for_upgrade(self, data: bytes) -> None:
        """Bytes behind a request for an upgrade."""
        ...


class Incoming:
    """Puts requests together."""

    __slots__ = (
        "_between",
        "_body",
        "_completed",
        "_headers",
        "_max_body",
        "_method",
        "_odd",
        "_parser",
        "_repeated",
        "_size",
        "_streams",
        "_taker",
        "_url",
        "_version",
        "begun",
        "body_stream",
        "deaf",
        "phase",
        "since",
        "upgraded",
    )

    def __init__(self, taker: Taker, max_body: int, streams: StreamsBody | None) -> None:
        self._taker, self._max_body, self._streams = taker, max_body, streams
        self._parser = httptools.HttpRequestParser(self)
        self.body_stream: BodyStream | None = None
        self.upgraded = False
        #: What comes in is dropped: the connection ends.
        self.deaf = False
        self.phase = BETWEEN
        #: How many requests have begun.
        self.begun = 0
        #: The loop's time at which the last request began, or was answered.
        self.since = 0.0
        #: Whether what was fed last has completed a request.
        self._completed = False
        #: A method that the parser does not know: of the next request, of this one.
        self._odd = self._method = ""
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._version = ""
        self._headers: dict[str, str] = {}
        self._repeated: dict[str, list[str]] = {}
        self._body: list[bytes] = []
        self._size = 0
        #: Bytes since the request began or its body last grew: the head, or what stands around the body.
        self._between = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Bytes came in."""
        whole = self.phase == BETWEEN
        self._completed = False
        try:
            self._parser.feed_data(data)
            if self.phase != BETWEEN:
                self._between += len(data)
                if self._between > MAX_HEAD:
                    self._taker.refuse(431, "Request Header Fields Too Large")
        except httptools.HttpParserUpgrade as upgrade:
            self.upgraded = True
            self._taker.keep_for_upgrade(bytes(data[upgrade.args[0] :]))
        except httptools.HttpParserInvalidMethodError:
            # Where one of several requests begins, nobody has kept.
            self._feed_odd(bytes(data) if whole and not self._completed else b"")
        except httptools.HttpParserError:
            self._taker.refuse(400, "Bad Request")

    def _feed_odd(self, data: bytes) -> None:
        """A request whose method the parser does not know goes through it under another name."""
        found = None if self._odd else http_target.stand_in(data)
        if found is None:
            self._taker.refuse(400, "Bad Request")
            return
        self._odd, known = found
        self._parser = httptools.HttpRequestParser(self)
        self.phase = BETWEEN
        self.feed(known)

    # httptools callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begin()
        self.begun += 1
        self.phase = HEAD
        self.since = asyncio.get_running_loop().time()
        self._method, self._odd = self._odd, ""

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        # Trailers are no headers: nobody has asked for them.
        if self.phase != HEAD:
            return
        key = _KNOWN_NAMES.get(name) or name.decode("latin-1").lower()
        headers = self._headers
        if key not in headers:
            headers[key] = value.decode("latin-1")
        else:
            self._repeated.setdefault(key, [headers[key]]).append(value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        """The head is complete; a body may follow."""
        self.phase = BODY
        self._between = 0
        for key, values in self._repeated.items():
            self._headers[key] = ", ".join(values)
        if self.deaf:
            return
        version = self._version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._taker.refuse(505, "HTTP Version Not Supported: unsupported protocol version")
        elif "host" in self._repeated or (version == "1.1" and "host" not in self._headers):
            kind = "too many Host headers" if "host" in self._repeated else "missing required Host header"
            self._taker.refuse(400, f"Bad Request: {kind}")
        elif "expect" in self._headers:
            self._expect(self._headers["expect"])
        if self._streams is not None and not self.deaf and not self._taker.occupied() and self._has_body():
            self._stream_body(self._streams)

    def _expect(self, text: str) -> None:
        if text.lower() != "100-continue":
            self._taker.refuse(417, "Expectation Failed")
        elif not self._taker.occupied() and not self._announces_too_much():
            self._taker.proceed()

    def _announces_too_much(self) -> bool:
        """Whether the body will pass the limit: then its sender need not begin."""
        length = self._headers.get("content-length", "")
        return length.isdigit() and int(length[:20]) > self._max_body and self._streams is None

    def _stream_body(self, streams: StreamsBody) -> None:
        with suppress(ValueError):
            # What is no target is refused once the request is complete.
            if not streams(self._called(), http_target.split(self._url)[0]):
                return
        request = self._request()
        if request is not None:
            request.stream = self.body_stream = BodyStream(self._taker.hold_body)
            self._taker.serve(request, keep=self._keeps_alive())

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self.deaf:
            return
        self._between = 0
        if self.body_stream is not None:
            self.body_stream.feed(body)
            return
        self._size += len(body)
        if self._size <= self._max_body:
            self._body.append(body)
            return
        # The handler answers 413; what else comes is dropped.
        self._body.clear()
        self.deaf = True
        self._complete(keep=False)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self.phase = BETWEEN
        self._completed = True
        if self.body_stream is not None:
            self.body_stream.finish()
            self.body_stream = None
        elif not self.deaf:
            self._complete(keep=self._keeps_alive())

    def _complete(self, *, keep: bool) -> None:
        request = self._request()
        if request is not None:
            self._taker.take(request, keep=keep)

    def _keeps_alive(self) -> bool:
        return bool(self._parser.should_keep_alive()) and self._version == "1.1"

    def _has_body(self) -> bool:
        """Whether a body follows. An upgrade's bytes are no body."""
        length = self._headers.get("content-length", "0")
        return (length != "0" or "transfer-encoding" in self._headers) and "upgrade" not in self._headers

    def _called(self) -> str:
        """The request's method."""
        return self._method or self._parser.get_method().decode("latin-1")

    def _request(self) -> Request | None:
        """What has been read; None when it was refused."""
        try:
            path, raw_query = http_target.split(self._url)
            request = Request(
                method=self._called(),
                path=path,
                query={},
                headers=self._headers,
                body=b"".join(self._body) if len(self._body) != 1 else self._body[0],
                repeated=self._repeated,
                raw_query=raw_query,
                peer=self._taker.peer,
                peer_fingerprint=self._taker.fingerprint,
                peer_issuer=self._taker.issuer,
                peer_uids=self._taker.uids,
                remote=self._taker.remote,
            )
            if raw_query:
                parse_query(request)
        except ValueError as error:
            self._taker.refuse(400, f"Bad Request: {error}")
            return None
        request.oversized = self._size > self._max_body
        request.chunks = self._version == "1.1"
        return request
