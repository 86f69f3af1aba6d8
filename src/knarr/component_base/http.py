"""One HTTP request and its answer: the shapes that servers, the local transport and the pipeline share."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import msgspec

from knarr.api.resources import Resource


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asks: what authentication found out."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class RequestInfo(msgspec.Struct, frozen=True):
    """What a path and method ask for, as authorization and audit name it.

    `verb` is get, list, watch, create, update, patch, delete, deletecollection; for paths that name no resource
    (`/healthz`) it is the method in lower case and `is_resource` is false.
    """

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    #: The rest of the path behind a `proxy` subresource.
    rest: str = ""
    #: Selectors of list, watch and deletecollection as the query gives them; empty where they cannot be parsed.
    field_selector: str = ""
    label_selector: str = ""


class RawStream(Protocol):
    """The connection after an upgrade: bytes both ways, no HTTP any more."""

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def drain(self) -> None:
        """Wait until the peer has taken enough to go on."""
        ...

    def close(self) -> None:
        """Flush and close the connection."""
        ...


class Seats(Protocol):
    """A priority level: how many requests are worked on at once."""

    #: None: any number.
    limit: int | None

    @property
    def free(self) -> bool:
        """Whether a request need not wait."""
        ...

    @property
    def queued(self) -> bool:
        """Whether requests may wait for a seat."""
        ...

    async def enter(self, flow: str) -> bool:
        """Take a seat, waiting for it; False when there is none in time."""
        ...

    def leave(self) -> None:
        """Give a seat back."""
        ...


class Tally:
    """How many requests of a flow schema a priority level has let in, and how many of them run."""

    __slots__ = ("dispatched", "running")

    def __init__(self) -> None:
        self.dispatched = self.running = 0


class Flow(Protocol):
    """Where a request belongs among all that come in."""

    @property
    def level(self) -> Seats:
        """Its priority level."""
        ...

    @property
    def key(self) -> str:
        """What it shares with the others of its flow."""
        ...

    @property
    def labels(self) -> tuple[str, str]:
        """Priority level and flow schema, by name."""
        ...

    @property
    def tally(self) -> Tally:
        """Where its requests are counted."""
        ...

    def mark(self, response: Response) -> None:
        """Tell of it in an answer's headers."""
        ...


class Record(Protocol):
    """A request that the audit log tells of."""

    #: Under which it can be found again.
    id: str
    #: What is noted of it on its way.
    annotations: dict[str, str]
    #: Whether it ended by a fault of the server.
    panicked: bool
    #: Who asks, whoever he acts as, and by which verb of constrained impersonation he does.
    user: UserInfo | None
    constraint: str


class Request(msgspec.Struct):
    """One request. Header names are in lower case; `query` keeps the first value of each parameter."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    #: The values of headers that stood more than once (impersonated groups may contain commas).
    repeated: dict[str, list[str]] = msgspec.field(default_factory=dict)
    #: The raw query string, for proxying.
    raw_query: str = ""
    #: All values of each query parameter (`command` of exec stands many times).
    query_lists: dict[str, list[str]] = msgspec.field(default_factory=dict)
    #: (common name, organizations) of a verified client certificate; set by the HTTP layer.
    peer: tuple[str, tuple[str, ...]] | None = None
    #: The SHA-256 of that certificate, in hex.
    peer_fingerprint: str = ""
    #: The uids in its subject: there should be one at most.
    peer_uids: tuple[str, ...] = ()
    #: Who issued it, as the ssl module gives names.
    peer_issuer: tuple[tuple[tuple[str, str], ...], ...] = ()
    remote: str = ""
    #: The body as it comes in, where the server was told to stream it; `body` is empty then.
    stream: AsyncIterator[bytes] | None = None
    #: The body passed the limit and was dropped.
    oversized: bool = False
    #: Whether the client knows chunked encoding (HTTP/1.1): to others a stream ends with its connection.
    chunks: bool = True
    #: Set for calls through the local transport: this identity is trusted without credentials.
    trusted: UserInfo | None = None
    # Filled on the way down the pipeline:
    info: RequestInfo | None = None
    user: UserInfo | None = None
    resource: Resource | None = None
    flow: Flow | None = None
    warnings: list[str] = msgspec.field(default_factory=list)
    #: Who writes down what comes of it; None for most requests.
    record: Record | None = None
    #: The stage at which somebody else had to be asked, and since when (seconds, as `time.perf_counter`).
    asked: tuple[str, float] | None = None


class Sink(Protocol):
    """Takes pieces of a streamed body directly: what a stream's `relay` is given, where it has one."""

    def ready(self) -> bool:
        """Whether the client keeps up. When it does not, the pieces have to come through the iterator."""
        ...

    def send(self, data: bytes) -> None:
        """Send a piece that is `framed`."""
        ...


def framed(piece: bytes) -> bytes:
    """A piece of a streamed body, not empty, as a chunk of HTTP's chunked encoding."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


class Pieces:
    """A complete body that lies in many pieces, with something before them, between them and behind them.

    A list is megabytes of cached objects: put together as a whole it would take fresh memory from the system for
    each request, and that costs more than sending it.
    """

    __slots__ = ("_after", "_before", "_between", "_pieces", "_size")

    def __init__(self, pieces: Sequence[bytes], before: bytes = b"", between: bytes = b"", after: bytes = b"") -> None:
        self._pieces = pieces
        self._before, self._between, self._after = before, between, after
        frame = len(before) + len(between) * max(len(pieces) - 1, 0) + len(after)
        self._size = frame + sum(map(len, pieces))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return self._before + self._between.join(self._pieces) + self._after

    def batches(self, size: int) -> Iterator[bytes]:
        """The body in parts of about `size` bytes. Single pieces are handled by loops of the interpreter's own only."""
        pieces = self._pieces
        if not pieces:
            yield self._before + self._after
        ends = list(accumulate(map(len, pieces)))
        at = sent = 0
        while at < len(pieces):
            end = bisect_left(ends, sent + size, at) + 1
            part = list(pieces[at:end])
            if not at:
                part[0] = self._before + part[0]
            if end < len(pieces):
                # An empty piece brings what stands between this part and the next.
                part.append(b"")
                sent = ends[end - 1]
            else:
                part[-1] += self._after
            yield self._between.join(part)
            at = end


class Runs(Pieces):
    """As `Pieces`, where these have the size already in which they are sent, so that none is copied."""

    __slots__ = ()

    def batches(self, size: int) -> Iterator[bytes]:
        """The pieces as they are, whatever `size`."""
        before, last = self._before, len(self._pieces) - 1
        if last < 0:
            yield before + self._after
        for number, piece in enumerate(self._pieces):
            part = before + piece if number == 0 else self._between + piece
            yield part + self._after if number == last else part


def batches(body: bytes | Pieces, size: int) -> Iterator[bytes | memoryview]:
    """A complete body in parts of about `size` bytes."""
    if isinstance(body, Pieces):
        return body.batches(size)
    rest = memoryview(body)
    return (rest[start : start + size] for start in range(0, len(rest), size))


class Response(msgspec.Struct):
    """One answer. `body` is complete, or an iterator of chunks (watches, logs, proxied bodies).

    An iterator's chunks are sent with chunked encoding unless `headers` gives a Content-Length. One that has a method
    `relay(sink)` may hand them to that `Sink` itself, whenever it lets its reader wait.

    With `upgrade` the status must be 101: after the headers the connection is handed to that coroutine function,
    which is called even when the client has gone meanwhile, so that it can let go of what it holds.
    """

    status: int = 200
    body: bytes | Pieces | AsyncIterator[bytes] = b""
    content_type: str = "application/json"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    #: Headers that may stand more than once (`Warning`).
    repeated: list[tuple[str, str]] = msgspec.field(default_factory=list)
    upgrade: Callable[[RawStream], Awaitable[None]] | None = None
    #: The reader of this stream may pause as long as it likes (logs); others are cut.
    patient: bool = False
