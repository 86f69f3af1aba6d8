"""The watch verb: a stream of changes, from the cache where it reaches back far enough, else from the store's history.

Source of the semantics: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from knarr.apimachinery import fields
from knarr.apimachinery.errors import expired, not_acceptable
from knarr.apiserver import options
from knarr.apiserver.context import Context
from knarr.apiserver.followers import Demand
from knarr.apiserver.metrics import scope_of
from knarr.apiserver.negotiation import JSON, STREAMS, YAML, Form
from knarr.apiserver.options import ListOptions
from knarr.apiserver.read import PATIENCE, reach
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.apiserver.selectors import Selectors
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_lines import Watch, bookmark, encoders, line_of, other_line
from knarr.apiserver.watch_stream import BOOKMARK, HEARTBEAT, CacheStream, sends_initial
from knarr.storage.store import CompactedError, Event, LaggedError, StoreUnavailableError

#: Seconds of a watch that does not say how long; the true length is up to twice that.
_LENGTH = 1800


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
    selectors = _selectors(opts, info)
    encode, later = encoders(ctx, scope, form, request.query)
    one = Watch(
        ctx=ctx,
        scope=scope,
        prefix=_prefix(scope, info),
        selectors=selectors,
        match=selectors.compile(scope.getters),
        opts=opts,
        form=form,
        query=request.query,
        deadline=ctx.clock.monotonic() + length,
        encode=encode,
        form_key=f"{form_key}/first" if later is not None else form_key,
        later=(later, form_key) if later is not None else None,
        counted=("WATCH", info.group, info.version, info.resource, "", scope_of(info), "apiserver"),
        demand=_demand(scope, selectors),
    )
    if opts.initial_events and start:
        await reach(ctx, start, PATIENCE)
    elif not text and ctx.shared_store:
        await reach(ctx, await ctx.store.revision(), PATIENCE)
    old = not sends_initial(opts) and start and start < scope.keep.kept_since
    if old and not scope.keep.has_history:
        raise expired(f"too old resource version: {start} ({scope.keep.kept_since})")
    stream: AsyncIterator[bytes] = _from_history(one, start) if old else CacheStream(one, start)
    media = form.media if form.media == JSON else f"{form.media};stream=watch"
    return Response(200, stream, media, {"Cache-Control": "no-cache, private"})


def _prefix(scope: Scope, info: RequestInfo) -> str:
    if info.name and (info.namespace or not scope.resource.namespaced):
        return scope.stored.key(info.namespace, info.name)
    return scope.prefix(info.namespace)


def _demand(scope: Scope, selectors: Selectors) -> Demand | None:
    """The first field that must have one value."""
    for term in selectors.field.terms:
        get = scope.getters.get(term.field)
        if get is not None and not term.negated:
            return Demand(term.field, term.value, get)
    return None


def _selectors(opts: ListOptions, info: RequestInfo) -> Selectors:
    """The selectors, with the name that the path of an old-style watch gives."""
    if not info.name or opts.selectors.field.exact("metadata.name") is not None:
        return opts.selectors
    terms = (*opts.selectors.field.terms, fields.Term("metadata.name", info.name))
    return Selectors(opts.selectors.label, fields.Selector(terms))


async def _from_history(one: Watch, start: int) -> AsyncIterator[bytes]:
    """What happened before the cache remembers, read from the store; then on from the cache."""
    collection, clock = one.scope.keep, one.ctx.clock
    seen, bookmark_at = start, clock.monotonic() + BOOKMARK
    try:
        async for batch in _until(one, start):
            changes = [collection.change_of(event) for event in batch if event.kv.key.startswith(one.prefix)]
            yield b"".join(line_of(one, change) for change in changes)
            seen = batch[-1].kv.mod_revision if batch else seen
            if batch and collection.kept_since <= seen <= one.ctx.cache.revision:
                break
            if one.opts.bookmarks and clock.monotonic() >= bookmark_at:
                bookmark_at += BOOKMARK
                yield bookmark(one, seen)
        else:
            if one.opts.bookmarks:
                yield bookmark(one, seen)
            return
    except CompactedError as error:
        failure = expired(f"too old resource version: {start} ({error.oldest})")
        yield other_line(one, "ERROR", failure.status())
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
            done, _ = await asyncio.wait({pending}, timeout=min(left, HEARTBEAT))
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
