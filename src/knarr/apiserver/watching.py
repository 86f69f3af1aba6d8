"""The watch verb: a stream of changes, from the cache where it reaches back far enough, else from the store's history.

Source of the semantics: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from knarr.apimachinery import fields
from knarr.apimachinery.errors import StatusError, expired
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds, options, projection
from knarr.apiserver.context import Context
from knarr.apiserver.negotiation import TABLE, Form
from knarr.apiserver.options import ListOptions
from knarr.apiserver.read import PATIENCE, reach
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.apiserver.selectors import Match, Selectors
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Change, Entry, Watcher
from knarr.storage.store import CompactedError, Event

#: Seconds of a watch that does not say how long; the true length is up to twice that.
_LENGTH = 1800
#: Seconds between bookmarks.
_BOOKMARK = 60.0
#: Seconds between looks at whether the client is still there.
_HEARTBEAT = 15.0
#: Lines sent in one piece.
_CHUNK = 100
_INITIAL_END = "k8s.io/initial-events-end"
_ADDED, _MODIFIED, _DELETED = "ADDED", "MODIFIED", "DELETED"


@dataclass(slots=True)
class Watch:
    """One watch on its way."""

    ctx: Context
    scope: Scope
    prefix: str
    match: Match | None
    opts: ListOptions
    form: Form
    query: dict[str, str]
    #: Monotonic seconds at which it ends.
    deadline: float = 0.0
    #: What the client has seen.
    revision: int = 0

    @property
    def form_key(self) -> str:
        """What tells lines of one change apart: the form, the version, and a table's options."""
        return f"{self.scope.resource.version}/{self.form.kind}/{self.query.get('includeObject', '')}"


async def watch(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Open a watch. Raises `StatusError` for options that are wrong."""
    info = request.info
    assert info is not None  # noqa: S101 - the pipeline has set it
    opts = options.list_options(request.query, scope.transform, watch=True)
    text = opts.resource_version
    start = options.parse_revision(text) if text else 0
    length = opts.timeout if opts.timeout else _LENGTH + random.randrange(_LENGTH)
    one = Watch(
        ctx=ctx,
        scope=scope,
        prefix=_prefix(scope, info),
        match=_selectors(opts, info).compile(scope.getters),
        opts=opts,
        form=form,
        query=request.query,
        deadline=ctx.clock.monotonic() + length,
    )
    if opts.initial_events and start:
        await reach(ctx, start, PATIENCE)
    elif not text and ctx.shared_store:
        await reach(ctx, await ctx.store.revision(), PATIENCE)
    return Response(200, _counted(one, info, start), "application/json", {"Cache-Control": "no-cache, private"})


async def _counted(one: Watch, info: RequestInfo, start: int) -> AsyncIterator[bytes]:
    key = (info.group, info.version, info.resource)
    watches = one.ctx.metrics.watches
    watches[key] = watches.get(key, 0) + 1
    stream = _stream(one, start)
    try:
        async for chunk in stream:
            yield chunk
    finally:
        watches[key] -= 1
        await stream.aclose()


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


async def _stream(one: Watch, start: int) -> AsyncGenerator[bytes, None]:
    collection = one.scope.keep
    initial = _sends_initial(one.opts)
    if not initial and start and start < collection.kept_since:
        one.revision = start
        async for chunk in _from_history(one, start):
            yield chunk
        return
    watcher = collection.watch(one.prefix)
    try:
        # Nothing may be awaited between these two: the stream goes on exactly where the snapshot ends.
        snapshot = list(collection.range(one.prefix)) if initial else []
        backlog = collection.since(start, one.prefix) if start and not initial else []
        one.revision = max(one.ctx.cache.revision, start)
        for chunk in _initial(one, snapshot):
            yield chunk
        lines = [line for change in backlog if (line := _line(one, change))]
        if lines:
            yield b"".join(lines)
        async for chunk in _changes(one, watcher):
            yield chunk
    finally:
        collection.unwatch(watcher)


def _sends_initial(opts: ListOptions) -> bool:
    if opts.initial_events is not None:
        return opts.initial_events
    return opts.resource_version in ("", "0")


def _initial(one: Watch, snapshot: list[Entry]) -> Iterator[bytes]:
    """What exists, as ADDED events, and the bookmark that says that this was all."""
    match = one.match
    chosen = [entry for entry in snapshot if match is None or match(entry.head)]
    encode = _encoder(one)
    for begin in range(0, len(chosen), _CHUNK):
        yield b"".join(b'{"type":"ADDED","object":%b}\n' % encode(entry) for entry in chosen[begin : begin + _CHUNK])
    if one.opts.initial_events and one.opts.bookmarks:
        yield _bookmark(one, ends_initial=True)


async def _changes(one: Watch, watcher: Watcher) -> AsyncIterator[bytes]:
    clock = one.ctx.clock
    bookmark_at = clock.monotonic() + _BOOKMARK
    while True:
        now = clock.monotonic()
        await watcher.wait(min(one.deadline, bookmark_at, now + _HEARTBEAT) - now)
        if watcher.queue:
            lines = _drain(one, watcher)
            if lines:
                yield b"".join(lines)
            continue
        if watcher.cut:
            return
        now = clock.monotonic()
        one.revision = max(one.revision, one.ctx.cache.revision)
        over = now >= one.deadline
        if one.opts.bookmarks and (over or now >= bookmark_at):
            yield _bookmark(one)
        else:
            yield b""
        if over:
            return
        if now >= bookmark_at:
            bookmark_at = now + _BOOKMARK


def _drain(one: Watch, watcher: Watcher) -> list[bytes]:
    lines: list[bytes] = []
    queue = watcher.queue
    while queue and len(lines) < _CHUNK:
        change = queue.popleft()
        # A watch from the future is silent until that revision.
        if change.entry.revision > one.revision:
            one.revision = change.entry.revision
            line = _line(one, change)
            if line:
                lines.append(line)
    return lines


async def _from_history(one: Watch, start: int) -> AsyncIterator[bytes]:
    """The whole watch from the store: what happened before the cache remembers, and on."""
    collection = one.scope.keep
    try:
        async for batch in _until(one, start):
            changes = [collection.change_of(event) for event in batch if event.kv.key.startswith(one.prefix)]
            lines = [line for change in changes if (line := _line(one, change))]
            yield b"".join(lines)
    except CompactedError as error:
        oldest = error.oldest
        yield _error(expired(f"too old resource version: {start} ({oldest})"))


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
        return change.line(kind, one.form_key, _encoder(one))
    before = previous is not None and match(previous.head)
    if change.deleted:
        selected = before if previous is not None else match(entry.head)
        return change.line(_DELETED, one.form_key, _encoder(one)) if selected else b""
    if match(entry.head):
        return change.line(_MODIFIED if before else _ADDED, one.form_key, _encoder(one))
    if not before or previous is None:
        return b""
    return b'{"type":"DELETED","object":%b}\n' % _encoder(one)(_left(previous, entry.revision))


def _left(previous: Entry, revision: int) -> Entry:
    """The last selected state of an object that is selected no more, at the revision of the change."""
    body = previous.body.replace(b'"%d"' % previous.revision, b'"%d"' % revision, 1)
    return Entry(previous.key, revision, body, previous.head)


def _encoder(one: Watch) -> Callable[[Entry], bytes]:
    if one.form.kind == TABLE and one.ctx.tables is not None:
        return lambda entry: _table(one, entry)
    scope, form = one.scope, one.form
    return lambda entry: projection.single(scope, entry, form)


def _table(one: Watch, entry: Entry) -> bytes:
    if one.ctx.tables is None:
        raise LookupError("no tables")
    table = one.ctx.tables.table(one.scope, [projection.served(one.scope, entry)], one.query)
    table["metadata"] = {"resourceVersion": str(entry.revision)}
    return orjson.dumps(table)


def _bookmark(one: Watch, *, ends_initial: bool = False) -> bytes:
    meta: Object = {"resourceVersion": str(one.revision)}
    if ends_initial:
        meta["annotations"] = {_INITIAL_END: "true"}
    resource = one.scope.resource
    obj: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
    if one.form.kind:
        obj["kind"], obj["apiVersion"] = "PartialObjectMetadata", "meta.k8s.io/v1"
    else:
        obj = kinds.normalise(resource, obj)[0]
        # The codec knows no bookmarks: a version is not the client's to set, here it is the point.
        obj["metadata"] = meta
    return b'{"type":"BOOKMARK","object":%b}\n' % orjson.dumps(obj)


def _error(failure: StatusError) -> bytes:
    return b'{"type":"ERROR","object":%b}\n' % orjson.dumps(failure.status())
