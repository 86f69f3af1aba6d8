"""The watch verb: a stream of changes, from the cache where it reaches back far enough, else from the store's history.

Source of the semantics: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from knarr.api import protobuf
from knarr.apimachinery import fields
from knarr.apimachinery.errors import expired, not_acceptable
from knarr.apimachinery.types import Object
from knarr.apiserver import bookmarks, options, projection
from knarr.apiserver.context import Context
from knarr.apiserver.metrics import scope_of
from knarr.apiserver.negotiation import JSON, PROTOBUF, STREAMS, TABLE, YAML, Form
from knarr.apiserver.options import ListOptions
from knarr.apiserver.read import PATIENCE, reach
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.apiserver.selectors import Match, Selectors
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Change, Entry, Watcher, at_revision
from knarr.component_base.http import Sink
from knarr.component_base.metrics import Key
from knarr.storage.store import CompactedError, Event, LaggedError, StoreUnavailableError

#: Seconds of a watch that does not say how long; the true length is up to twice that.
_LENGTH = 1800
#: Seconds between bookmarks.
_BOOKMARK = 60.0
#: Seconds between looks at whether the client is still there.
_HEARTBEAT = 15.0
#: Bytes from which lines are sent as a piece: a client that does not read holds no more than a few of them.
_PIECE = 64 * 1024
#: Seconds between two pieces to one client, at least: encrypting and sending cost more than all else about an event.
_PACE = 0.01
#: Makes the line of an event of this type that shows this object.
Encode = Callable[[str, Entry], bytes]
_ADDED, _MODIFIED, _DELETED = "ADDED", "MODIFIED", "DELETED"


@dataclass(slots=True)
class Watch:
    """One watch: what it is of, and how its lines are made."""

    ctx: Context
    scope: Scope
    prefix: str
    match: Match | None
    opts: ListOptions
    form: Form
    query: dict[str, str]
    #: Monotonic seconds at which it ends.
    deadline: float
    encode: Encode
    #: What tells lines of one change apart: the version, the form, a table's options.
    form_key: str
    #: How lines are made after the first one, where that differs: a table shows its columns once.
    later: tuple[Encode, str] | None = None
    #: The labels it is counted under.
    counted: Key = ()

    def line(self, change: Change, kind: str) -> bytes:
        """The line of a change as an event of this kind."""
        made = change.line(kind, self.form_key, self.encode)
        if self.later is not None:
            (self.encode, self.form_key), self.later = self.later, None
        return made

    def fresh_line(self, entry: Entry, kind: str) -> bytes:
        """The line of an object that is no change of its own."""
        made = self.encode(kind, entry)
        if self.later is not None:
            (self.encode, self.form_key), self.later = self.later, None
        return made


async def watch(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Open a watch. Raises `StatusError` for options that are wrong."""
    info = request.info
    assert info is not None
    opts = options.list_options(request.query, scope.transform, watch=True)
    text = opts.resource_version
    start = options.parse_revision(text) if text else 0
    length = opts.timeout if opts.timeout else _LENGTH + random.randrange(_LENGTH)
    if form.media == YAML:
        raise not_acceptable(STREAMS)
    form_key = f"{scope.resource.api_version}/{form.media}/{form.kind}/{request.query.get('includeObject', '')}"
    encode, later = _encoders(ctx, scope, form, request.query)
    one = Watch(
        ctx=ctx,
        scope=scope,
        prefix=_prefix(scope, info),
        match=_selectors(opts, info).compile(scope.getters),
        opts=opts,
        form=form,
        query=request.query,
        deadline=ctx.clock.monotonic() + length,
        encode=encode,
        form_key=f"{form_key}/first" if later is not None else form_key,
        later=(later, form_key) if later is not None else None,
        counted=("WATCH", info.group, info.version, info.resource, "", scope_of(info), "apiserver"),
    )
    if opts.initial_events and start:
        await reach(ctx, start, PATIENCE)
    elif not text and ctx.shared_store:
        await reach(ctx, await ctx.store.revision(), PATIENCE)
    old = not _sends_initial(opts) and start and start < scope.keep.kept_since
    stream: AsyncIterator[bytes] = _from_history(one, start) if old else CacheStream(one, start)
    media = form.media if form.media == JSON else f"{form.media};stream=watch"
    return Response(200, stream, media, {"Cache-Control": "no-cache, private"})


def _prefix(scope: Scope, info: RequestInfo) -> str:
    if info.name and (info.namespace or not scope.resource.namespaced):
        return scope.stored.key(info.namespace, info.name)
    return scope.prefix(info.namespace)


def _selectors(opts: ListOptions, info: RequestInfo) -> Selectors:
    """The selectors, with the name that the path of an old-style watch gives."""
    if not info.name or opts.selectors.field.exact("metadata.name") is not None:
        return opts.selectors
    terms = (*opts.selectors.field.terms, fields.Term("metadata.name", info.name))
    return Selectors(opts.selectors.label, fields.Selector(terms))


def _sends_initial(opts: ListOptions) -> bool:
    if opts.initial_events is not None:
        return opts.initial_events
    return opts.resource_version in ("", "0")


def _initial(one: Watch, snapshot: list[Entry], revision: int) -> Iterator[bytes]:
    """What exists, as ADDED events, and the bookmark that says that this was all."""
    match = one.match
    yield from _pieces(one.fresh_line(entry, _ADDED) for entry in snapshot if match is None or match(entry.head))
    if one.opts.initial_events and one.opts.bookmarks:
        yield _bookmark(one, revision, ends_initial=True)


def _missed(one: Watch, backlog: list[Change]) -> Iterator[bytes]:
    """What has happened since the revision that the watch begins at."""
    return _pieces(_line(one, change) for change in backlog)


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together to pieces of a fair size."""
    piece, size = [], 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size >= _PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    if piece:
        yield b"".join(piece)


class CacheStream:
    """The lines of a watch that the cache reaches back far enough for.

    One object a watch, no nested generators: what happens for each event and watcher happens a lot.
    """

    def __init__(self, one: Watch, start: int) -> None:
        self._one = one
        collection = one.scope.keep
        self._watcher: Watcher = collection.watch(one.prefix)
        # Nothing is awaited between these: the stream goes on exactly where the snapshot ends.
        initial = _sends_initial(one.opts)
        snapshot = list(collection.range(one.prefix)) if initial else []
        backlog = collection.since(start, one.prefix) if start and not initial else []
        #: What the client has seen, or will have when the first chunks are sent.
        self._revision = max(one.ctx.cache.revision, start)
        self._first = self._first_chunks(snapshot, backlog)
        self._due = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._bookmark_at = one.ctx.clock.monotonic() + _BOOKMARK
        one.ctx.metrics.watches.add(one.counted)
        self._closed = False
        self._sink: Sink | None = None
        #: Whether `_relay` is about to run, and the loop's time when it has last sent something.
        self._relaying = False
        self._relayed = 0.0

    def __aiter__(self) -> CacheStream:
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            chunk = next(self._first, None)
            if chunk is not None:
                return chunk
            self._first = None
        if self._over:
            raise StopAsyncIteration
        if self._timer is None:
            self._arm()
        while True:
            if self._watcher.queue:
                lines = self._drain()
                if lines:
                    return b"".join(lines)
                continue
            if self._watcher.cut:
                raise StopAsyncIteration
            if self._due:
                return self._beat()
            await self._watcher.wait()

    async def aclose(self) -> None:
        """Stop watching."""
        if self._closed:
            return
        self._closed = True
        self._one.scope.keep.unwatch(self._watcher)
        self._one.ctx.metrics.watches.add(self._one.counted, -1)
        if self._timer is not None:
            self._timer.cancel()

    def _first_chunks(self, snapshot: list[Entry], backlog: list[Change]) -> Iterator[bytes] | None:
        """What exists as ADDED events with the bookmark that ends them, or what has happened since."""
        one = self._one
        if backlog:
            return _missed(one, backlog)
        if _sends_initial(one.opts):
            return _initial(one, snapshot, self._revision)
        return None

    def _drain(self) -> list[bytes]:
        lines: list[bytes] = []
        one, queue, size = self._one, self._watcher.queue, 0
        while queue and size < _PIECE:
            change = queue.popleft()
            # A watch from the future is silent until that revision.
            if change.entry.revision > self._revision:
                self._revision = change.entry.revision
                line = _line(one, change)
                if line:
                    lines.append(line)
                    size += len(line)
        if lines:
            one.ctx.metrics.watch_events.add(one.counted[1:4], len(lines))
        return lines

    def relay(self, sink: Sink) -> None:
        """Hand events to `sink` as they come, while somebody sleeps in `__anext__`.

        That spares a task's turn for every event and watcher. Who does not keep up gets the rest from `__anext__`,
        with its back-pressure.
        """
        self._sink = sink
        self._watcher.on_news = self._news

    def _news(self) -> None:
        """Events come one by one; what comes within `_PACE` goes out as one piece, the first one at once."""
        if not self._relaying:
            self._relaying = True
            loop = asyncio.get_running_loop()
            wait = self._relayed + _PACE - loop.time()
            if wait > 0:
                loop.call_later(wait, self._relay)
            else:
                loop.call_soon(self._relay)

    def _relay(self) -> None:
        self._relaying = False
        watcher, sink = self._watcher, self._sink
        # Who sleeps no more, takes what waits himself.
        if self._closed or sink is None or not watcher.waited_for:
            return
        if not sink.ready():
            watcher.wake()
            return
        self._relayed = asyncio.get_running_loop().time()
        lines = self._drain()
        if lines:
            sink.send(b"".join(lines))
        if watcher.queue:
            self._news()

    def _arm(self) -> None:
        """Come back at the deadline, or to see whether the client is still there."""
        now = self._one.ctx.clock.monotonic()
        at = min(self._one.deadline, self._bookmark_at, now + _HEARTBEAT)
        self._due = False
        self._timer = asyncio.get_running_loop().call_later(max(at - now, 0.0), self._fire)

    def _fire(self) -> None:
        self._due = True
        self._watcher.wake()

    def _beat(self) -> bytes:
        """A bookmark when it is time for one, else nothing: the server notices then that a client is gone."""
        one, now = self._one, self._one.ctx.clock.monotonic()
        self._revision = max(self._revision, one.ctx.cache.revision)
        self._over = now >= one.deadline
        wanted = one.opts.bookmarks and (self._over or now >= self._bookmark_at)
        if now >= self._bookmark_at:
            self._bookmark_at = now + _BOOKMARK
        self._arm()
        return _bookmark(one, self._revision) if wanted else b""


async def _from_history(one: Watch, start: int) -> AsyncIterator[bytes]:
    """What happened before the cache remembers, read from the store; then on from the cache."""
    collection, clock = one.scope.keep, one.ctx.clock
    seen, bookmark_at = start, clock.monotonic() + _BOOKMARK
    try:
        async for batch in _until(one, start):
            changes = [collection.change_of(event) for event in batch if event.kv.key.startswith(one.prefix)]
            yield b"".join(_line(one, change) for change in changes)
            seen = batch[-1].kv.mod_revision if batch else seen
            if batch and collection.kept_since <= seen <= one.ctx.cache.revision:
                break
            if one.opts.bookmarks and clock.monotonic() >= bookmark_at:
                bookmark_at += _BOOKMARK
                yield _bookmark(one, seen)
        else:
            if one.opts.bookmarks:
                yield _bookmark(one, seen)
            return
    except CompactedError as error:
        failure = expired(f"too old resource version: {start} ({error.oldest})")
        yield _other_line(one, "ERROR", failure.status())
        return
    except (LaggedError, StoreUnavailableError):
        # As every watch whose reader is too slow it ends; the client comes back for what it has missed.
        return
    async with aclosing(CacheStream(one, seen)) as rest:
        async for chunk in rest:
            yield chunk


async def _until(one: Watch, start: int) -> AsyncIterator[Sequence[Event]]:
    """The store's batches until the watch's deadline; empty ones as heartbeats."""
    iterator = one.ctx.store.watch(one.scope.keep.prefix, start).__aiter__()
    pending: asyncio.Future[Sequence[Event]] | None = None
    try:
        while (left := one.deadline - one.ctx.clock.monotonic()) > 0:
            if pending is None:
                pending = asyncio.ensure_future(anext(iterator))
            done, _ = await asyncio.wait({pending}, timeout=min(left, _HEARTBEAT))
            if not done:
                yield ()
                continue
            batch, pending = pending.result(), None
            yield batch
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


def _line(one: Watch, change: Change) -> bytes:
    """The line of a change for this watch; empty when it is not selected."""
    entry, previous, match = change.entry, change.previous, one.match
    if match is None:
        kind = _DELETED if change.deleted else _ADDED if previous is None else _MODIFIED
        return one.line(change, kind)
    before = previous is not None and match(previous.head)
    if change.deleted:
        selected = before if previous is not None else match(entry.head)
        return one.line(change, _DELETED) if selected else b""
    if match(entry.head):
        return one.line(change, _MODIFIED if before else _ADDED)
    if not before or previous is None:
        return b""
    # It is selected no more: its last selected state, at the revision of the change.
    return one.fresh_line(at_revision(previous, entry.revision), _DELETED)


def _encoders(ctx: Context, scope: Scope, form: Form, query: dict[str, str]) -> tuple[Encode, Encode | None]:
    """What makes the line of an event, and what makes those after the first, where that differs."""
    tables = ctx.tables
    if form.media == PROTOBUF:
        return _frames(scope, form), None
    if form.kind != TABLE or tables is None:
        return (
            lambda kind, entry: b'{"type":"%b","object":%b}\n' % (kind.encode(), projection.single(scope, entry, form))
        ), None

    def first(kind: str, entry: Entry) -> bytes:
        table = tables.table(scope, [projection.served(scope, entry)], query)
        return _json_line(kind, {**table, "metadata": {"resourceVersion": str(entry.revision)}})

    def later(kind: str, entry: Entry) -> bytes:
        table = tables.table(scope, [projection.served(scope, entry)], query)
        meta = {"resourceVersion": str(entry.revision)}
        return _json_line(kind, {**table, "metadata": meta, "columnDefinitions": None})

    return first, later


def _frames(scope: Scope, form: Form) -> Encode:
    """The events as protobuf. Raises `StatusError` 406 for kinds that have no messages."""
    if not form.kind and not protobuf.has(scope.resource.api_version, scope.resource.kind):
        raise not_acceptable(STREAMS[:1])
    return lambda kind, entry: protobuf.frame(
        {"type": kind, "object": orjson.loads(projection.single(scope, entry, form))}
    )


def _json_line(kind: str, obj: Object) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), orjson.dumps(obj))


def _bookmark(one: Watch, revision: int, *, ends_initial: bool = False) -> bytes:
    entry = bookmarks.of(one.scope, one.form, revision, ends_initial=ends_initial)
    if one.form.kind == TABLE and one.ctx.tables is not None:
        table = one.ctx.tables.table(one.scope, [entry], {**one.query, "includeObject": "Object"})
        entry = bookmarks.as_table(table, entry, one.query, columns=one.later is not None)
    return _other_line(one, "BOOKMARK", entry)


def _other_line(one: Watch, kind: str, obj: Object) -> bytes:
    """The line of an event that tells of no object."""
    return protobuf.frame({"type": kind, "object": obj}) if one.form.media == PROTOBUF else _json_line(kind, obj)
