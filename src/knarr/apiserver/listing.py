"""The list verb: bytes of cached objects joined; earlier revisions come from the store's history.

Source of the semantics: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

import orjson

from knarr.api import protobuf
from knarr.apimachinery.errors import StatusError, bad_request, expired
from knarr.apimachinery.types import Object
from knarr.apiserver import continue_token, options, projection, responses
from knarr.apiserver.context import Context
from knarr.apiserver.negotiation import JSON, PROTOBUF, TABLE, Form
from knarr.apiserver.options import EXACT, NOT_OLDER, ListOptions
from knarr.apiserver.read import PATIENCE, reach
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.apiserver.selectors import Match, Selectors
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Entry
from knarr.component_base.http import Pieces, Runs
from knarr.storage.store import CompactedError

_EXPIRED_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
_END = b"]}"
_EXPIRED_VERSION = "The resourceVersion for the provided list is too old."


class Ask(NamedTuple):
    """What a list request comes to: at least (or exactly) this revision, behind this key, so many."""

    revision: int = 0
    exact: bool = False
    after: str = ""
    limit: int = 0


class Page(NamedTuple):
    """The entries of one answer, the revision they were read at, and whether more follow (how many, if known)."""

    entries: list[Entry]
    revision: int
    more: bool = False
    remaining: int | None = None


def parse(scope: Scope, info: RequestInfo, request: Request) -> tuple[ListOptions, Ask]:
    """The options of a list request. Raises `StatusError`."""
    opts = options.list_options(request.query, scope.transform, watch=False)
    return opts, _ask(opts, scope.prefix(info.namespace))


def _ask(opts: ListOptions, prefix: str) -> Ask:
    text = opts.resource_version
    if opts.continue_token:
        if text not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        position = continue_token.decode(opts.continue_token)
        exact = position.revision > 0
        limit = opts.limit if text != "0" else 0
        return Ask(max(position.revision, 0), exact, prefix + position.after, limit)
    if not text:
        return Ask(limit=opts.limit)
    revision = _revision(text)
    if text == "0":
        return Ask()
    exact = opts.match == EXACT or (opts.match != NOT_OLDER and opts.limit > 0)
    return Ask(revision, exact, "", opts.limit)


def _revision(text: str) -> int:
    try:
        return options.parse_revision(text)
    except StatusError as error:
        raise bad_request(f"invalid resource version: {error.message}") from error


def list_cached(ctx: Context, scope: Scope, info: RequestInfo, request: Request, form: Form) -> Response | None:
    """The list from the cache; None when that needs waiting or the store's history. Raises `StatusError`."""
    prefix = scope.prefix(info.namespace)
    if not request.query:
        kept = _kept(ctx, scope, request, form, prefix, None)
        if kept is not None:
            return kept
        page = Page(list(scope.keep.range(prefix)), ctx.cache.revision)
        return respond_page(ctx, scope, request, form, page, prefix)
    opts, ask = parse(scope, info, request)
    if ask.revision > ctx.cache.revision or not _current(scope, ask):
        return None
    if not (ask.exact or ask.after or ask.limit) and _is_simple(opts.selectors):
        kept = _kept(ctx, scope, request, form, prefix, opts.selectors.one_label())
        if kept is not None:
            return kept
    page = cached_page(ctx, scope, info.namespace, opts, ask)
    return respond_page(ctx, scope, request, form, page, prefix)


def _is_simple(selectors: Selectors) -> bool:
    """Whether they demand one value of one label, or nothing."""
    return selectors.is_everything or (selectors.is_one_label and selectors.one_label() is not None)


def _kept(
    ctx: Context, scope: Scope, request: Request, form: Form, prefix: str, label: tuple[str, str] | None
) -> Response | None:
    """All below a prefix (with that label) as now, where such a list is kept; None where it is to be made."""
    if form.media != JSON or form.kind or _made_anew(scope) or responses.wants_pretty(request, form):
        return None
    keep = scope.keep
    find = partial(keep.range, prefix) if label is None else partial(keep.labelled, *label, prefix)
    runs = ctx.lists.runs((prefix, label), keep, find)
    if runs is None:
        return None
    head = _head(scope, {"resourceVersion": str(ctx.cache.revision)}, form)
    return responses.json_bytes(Runs(runs, head, b"", _END), request)


async def list_fresh(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """As `list_cached`, waiting and reading history where needed. Raises `StatusError`."""
    info = request.info
    assert info is not None
    opts, ask = parse(scope, info, request)
    page = await page_of(ctx, scope, info.namespace, opts, ask)
    return respond_page(ctx, scope, request, form, page, scope.prefix(info.namespace))


async def page_of(ctx: Context, scope: Scope, namespace: str, opts: ListOptions, ask: Ask) -> Page:
    """One page, from the cache or the store's history. Raises `StatusError`."""
    revision = ask.revision
    if not revision and opts.resource_version != "0" and ctx.shared_store:
        revision = await ctx.store.revision()
    patience = PATIENCE if opts.timeout is None else min(PATIENCE, float(opts.timeout))
    await reach(ctx, revision, patience)
    if _current(scope, ask):
        return cached_page(ctx, scope, namespace, opts, ask)
    return await _past_page(ctx, scope, namespace, opts, ask)


def _current(scope: Scope, ask: Ask) -> bool:
    """Whether the collection has not changed since an exactly wanted revision."""
    return not ask.exact or ask.revision >= scope.keep.changed


def cached_page(ctx: Context, scope: Scope, namespace: str, opts: ListOptions, ask: Ask) -> Page:
    """A page of what the cache shows now."""
    prefix = scope.prefix(namespace)
    revision = ask.revision if ask.exact else ctx.cache.revision
    found = _found(scope, prefix, ask.after, opts)
    if not ask.limit:
        return Page(list(found), revision)
    entries = list(islice(found, ask.limit))
    if len(entries) < ask.limit or not _any_left(scope, prefix, entries[-1], opts):
        return Page(entries, revision)
    remaining = _count_after(scope, prefix, entries[-1]) if opts.selectors.is_everything else None
    return Page(entries, revision, more=True, remaining=remaining)


def _any_left(scope: Scope, prefix: str, last: Entry, opts: ListOptions) -> bool:
    return next(_found(scope, prefix, last.key, opts), None) is not None


def _count_after(scope: Scope, prefix: str, last: Entry) -> int:
    return sum(1 for _ in scope.keep.range(prefix, last.key))


def _found(scope: Scope, prefix: str, after: str, opts: ListOptions) -> Iterator[Entry]:
    """The selected entries below a prefix, behind a key."""
    label = opts.selectors.one_label()
    if label is None:
        return _select(scope, scope.keep.range(prefix, after), opts)
    entries = scope.keep.labelled(*label, prefix, after)
    return iter(entries) if opts.selectors.is_one_label else _select(scope, entries, opts)


def _select(scope: Scope, entries: Iterable[Entry], opts: ListOptions) -> Iterator[Entry]:
    match = opts.selectors.compile(scope.getters)
    if match is None:
        return iter(entries)
    return iter([entry for entry in entries if match(entry.head)]) if not opts.limit else _lazily(entries, match)


def _lazily(entries: Iterable[Entry], match: Match) -> Iterator[Entry]:
    return (entry for entry in entries if match(entry.head))


async def _past_page(ctx: Context, scope: Scope, namespace: str, opts: ListOptions, ask: Ask) -> Page:
    if not scope.keep.has_history:
        raise _too_old(ctx, opts, ask, scope.prefix(namespace))
    prefix = scope.prefix(namespace)
    everything = opts.selectors.is_everything
    try:
        found = await ctx.store.list(
            prefix, after=ask.after, limit=ask.limit if everything else 0, revision=ask.revision
        )
    except CompactedError as error:
        raise _too_old(ctx, opts, ask, prefix) from error
    entries = list(_select(scope, map(scope.keep.entry_of, found.items), opts))
    if everything or not ask.limit or len(entries) <= ask.limit:
        more = everything and found.remaining > 0
        return Page(entries, ask.revision, more=more, remaining=found.remaining if more else None)
    return Page(entries[: ask.limit], ask.revision, more=True)


def _too_old(ctx: Context, opts: ListOptions, ask: Ask, prefix: str) -> StatusError:
    if not opts.continue_token:
        return expired(_EXPIRED_VERSION)
    error = expired(_EXPIRED_TOKEN)
    error.metadata = {"continue": continue_token.encode(ask.after.removeprefix(prefix), -1)}
    return error


def respond_page(ctx: Context, scope: Scope, request: Request, form: Form, page: Page, prefix: str) -> Response:
    """A page as a list in the wanted form, with the token of the next one."""
    meta: Object = {"resourceVersion": str(page.revision)}
    if page.more:
        meta["continue"] = continue_token.encode(page.entries[-1].key.removeprefix(prefix), page.revision)
        if page.remaining:
            meta["remainingItemCount"] = page.remaining
    elif scope.resource.custom is not None and not form.kind:
        # Lists without a type of their own have it always.
        meta["continue"] = ""
    return respond(ctx, scope, request, form, page.entries, meta)


def respond(ctx: Context, scope: Scope, request: Request, form: Form, entries: list[Entry], meta: Object) -> Response:
    """A list of entries in the wanted form."""
    if form.kind == TABLE and ctx.tables is not None:
        table = ctx.tables.table(scope, [projection.served(scope, entry) for entry in entries], request.query)
        table["metadata"] = meta
        return responses.obj(table, request, form)
    if form.media == PROTOBUF:
        return responses.message(lambda: _message(scope, entries, meta, form), request)
    body = _join(scope, entries, meta, form)
    if form.media == JSON and not responses.wants_pretty(request, form):
        return responses.json_bytes(body, request)
    return responses.obj(orjson.loads(bytes(body)), request, form)


def _message(scope: Scope, entries: list[Entry], meta: Object, form: Form) -> bytes:
    kind, version = projection.list_head(scope, form)
    raw = protobuf.list_message(meta, [projection.message(scope, entry, form) for entry in entries])
    # There may be no items to tell: raises `KeyError` all the same.
    if not protobuf.has(version, kind):
        raise KeyError(kind)
    return protobuf.envelope(version, kind, raw)


def _made_anew(scope: Scope) -> bool:
    """Whether items are not the bytes that the cache has."""
    return scope.converts or scope.resource.custom is not None


def _head(scope: Scope, meta: Object, form: Form) -> bytes:
    """A list up to its first item."""
    kind, version = projection.list_head(scope, form)
    return orjson.dumps({"kind": kind, "apiVersion": version, "metadata": meta})[:-1] + b',"items":['


def _join(scope: Scope, entries: list[Entry], meta: Object, form: Form) -> Pieces:
    if form.kind or _made_anew(scope):
        items = [projection.item(scope, entry, form) for entry in entries]
    else:
        items = [entry.body for entry in entries]
    return Pieces(items, _head(scope, meta, form), b",", _END)
