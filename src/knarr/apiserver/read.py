"""The get verb: one object from the watch cache, as bytes."""

from __future__ import annotations

import orjson

from knarr.apimachinery.errors import StatusError, not_found
from knarr.apimachinery.types import Object
from knarr.apiserver import options, projection, responses
from knarr.apiserver.context import Context
from knarr.apiserver.negotiation import JSON, PLAIN, PROTOBUF, TABLE, Form
from knarr.apiserver.request import Request, RequestInfo, Response
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Entry

#: Seconds a read waits for a resourceVersion that the cache has not seen.
PATIENCE = 3.0


def get(ctx: Context, scope: Scope, info: RequestInfo, request: Request, form: Form) -> Response | None:
    """The object; None when the cache has to reach the wanted resourceVersion first. Raises `StatusError`."""
    wanted = request.query.get("resourceVersion", "")
    if wanted and options.parse_revision(wanted) > ctx.cache.revision:
        return None
    entry = find(scope, info.namespace, info.name)
    return entry_response(ctx, scope, entry, request, form)


async def get_fresh(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """As `get`, waiting for the cache where needed. Raises `StatusError`."""
    info = request.info
    assert info is not None
    wanted = request.query.get("resourceVersion", "")
    revision = options.parse_revision(wanted) if wanted else 0
    if not wanted and ctx.shared_store:
        revision = await ctx.store.revision()
    await reach(ctx, revision, PATIENCE)
    return entry_response(ctx, scope, find(scope, info.namespace, info.name), request, form)


async def reach(ctx: Context, revision: int, seconds: float) -> None:
    """Wait until the cache has passed a revision. Raises `StatusError` 504 when it does not in time."""
    if await ctx.cache.reached(revision, seconds):
        return
    raise too_large(revision, ctx.cache.revision)


def too_large(revision: int, current: int) -> StatusError:
    """504: the revision lies in the future."""
    details: Object = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {revision}, current: {current}"
    return StatusError(504, "Timeout", message, details)


def find(scope: Scope, namespace: str, name: str) -> Entry:
    """The entry of an object. Raises `StatusError` 404."""
    resource = scope.resource
    entry = scope.keep.entries.get(scope.stored.key(namespace, name))
    if entry is None:
        raise not_found(resource.plural, resource.group, name)
    return entry


def entry_response(
    ctx: Context, scope: Scope, entry: Entry, request: Request, form: Form, status: int = 200
) -> Response:
    """A cached object in the wanted form."""
    if form.kind == TABLE and ctx.tables is not None:
        table = ctx.tables.table(scope, [projection.served(scope, entry)], request.query)
        table["metadata"] = {"resourceVersion": str(entry.revision)}
        return responses.obj(table, request, form, status)
    if form.media == PROTOBUF:
        return responses.message(lambda: projection.body(scope, entry, form), request, status)
    body = projection.single(scope, entry, form)
    if form is PLAIN or (form.media == JSON and not responses.wants_pretty(request, form)):
        return responses.json_bytes(body, request, status)
    return responses.obj(orjson.loads(body), request, form, status)


def object_response(
    ctx: Context, scope: Scope, obj: Object, request: Request, form: Form, status: int = 200
) -> Response:
    """A decoded object (of a dry run, or that is not stored as it is answered) in the wanted form."""
    if form.kind == TABLE and ctx.tables is not None:
        table = ctx.tables.table(scope, [obj], request.query)
        version = obj["metadata"].get("resourceVersion")
        table["metadata"] = {"resourceVersion": version} if version else {}
        return responses.obj(table, request, form, status)
    if form.kind in projection.PARTIALS:
        obj = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return responses.obj(obj, request, form, status)
