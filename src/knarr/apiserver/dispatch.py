"""From a request's info to the verb that answers it.

Which paths and methods exist follows the table of resources; what a path does not serve is 404, what a method does
not do there is 405.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from knarr.api.resources import Resource, Subresource
from knarr.apimachinery.errors import StatusError, bad_request, not_found, page_not_found, service_unavailable
from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apiserver import (
    binding,
    component_statuses,
    connect_options,
    creating,
    deleting,
    eviction,
    listing,
    negotiation,
    patching,
    read,
    responses,
    reviews,
    scale,
    token_subresource,
    updating,
    watching,
)
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.context import Context
from knarr.apiserver.negotiation import Form
from knarr.apiserver.nonresource import method_not_allowed
from knarr.apiserver.request import Request, RequestInfo, Response, UserInfo
from knarr.apiserver.served import Scope
from knarr.apiserver.tables import check_options

Verb = Callable[[Context, Scope, Request, Form], Awaitable[Response]]

#: Verbs on a collection and on one object.
_VERBS: dict[str, Verb] = {
    "get": read.get_fresh,
    "list": listing.list_fresh,
    "watch": watching.watch,
    "create": creating.create,
    "update": updating.update,
    "patch": patching.patch,
    "delete": deleting.delete,
    "deletecollection": deleting.delete_collection,
}
#: Subresources that show, or change a part of, the object itself.
_PARTS: dict[str, Verb] = {"get": read.get_fresh, "update": updating.update, "patch": patching.patch}
_PART_NAMES = frozenset({"status", "approval", "ephemeralcontainers", "resize", "finalize"})
#: Other subresources: what answers (subresource, verb).
SUBRESOURCES: dict[tuple[str, str], Verb] = {
    ("binding", "create"): binding.bind,
    ("eviction", "create"): eviction.evict,
    ("token", "create"): token_subresource.create,
    ("scale", "get"): scale.get,
    ("scale", "update"): scale.update,
    ("scale", "patch"): scale.patch,
}
#: Subresources that are only sent, never shown; nor are reviews: asked for as a Table they are a 406.
_TABLELESS = frozenset({"binding", "eviction", "token"})
#: What is never stored: (plural, verb).
_UNSTORED: dict[tuple[str, str], Verb] = {
    ("bindings", "create"): binding.bind,
    ("componentstatuses", "get"): component_statuses.get,
    ("componentstatuses", "list"): component_statuses.list_all,
    **{(plural, "create"): reviews.review for plural in reviews.REVIEWS},
}


def find_scope(ctx: Context, info: RequestInfo) -> Scope | None:
    """What serves the path; None for a group-version that nobody serves. Raises `StatusError` 404."""
    scope = ctx.served.get(info.group, info.version, info.resource)
    if scope is None:
        if info.group and (info.group not in ctx.served.groups or ctx.served.is_custom(info.group)):
            return None
        raise page_not_found()
    resource = scope.resource
    if resource.custom is not None:
        return scope if _is_in_scope(resource, info) else None
    if info.namespace and not resource.namespaced and resource.plural != "namespaces":
        raise page_not_found()
    if resource.namespaced and not info.namespace and info.verb in ("get", "update", "patch", "delete"):
        raise page_not_found()
    return scope


def _is_in_scope(resource: Resource, info: RequestInfo) -> bool:
    """Whether a path to custom resources has a namespace where there is one."""
    if info.namespace:
        return resource.namespaced
    return not resource.namespaced or info.verb in ("list", "watch")


def quick(ctx: Context, request: Request, info: RequestInfo) -> Response | None:
    """The answer of a get or list that the cache can give at once, else None. Raises `StatusError`."""
    if info.subresource or request.method != "GET" or ctx.shared_store:
        return None
    scope = find_scope(ctx, info)
    if scope is None or scope.collection is None or scope.converter is not None:
        return None
    request.resource = scope.resource
    verb = info.verb
    if verb not in scope.resource.verbs:
        return None
    if scope.deprecation:
        request.warnings.append(scope.deprecation)
    accept = request.headers.get("accept", "")
    if verb == "get":
        form = negotiation.negotiate(accept, tables=ctx.tables is not None, messages=scope.resource.custom is None)
        return read.get(ctx, scope, info, request, form)
    messages = scope.resource.custom is None
    form = negotiation.negotiate(accept, streams=True, tables=ctx.tables is not None, messages=messages)
    return listing.list_cached(ctx, scope, info, request, form)


async def dispatch(ctx: Context, request: Request, info: RequestInfo) -> Response:
    """Answer a request for a resource. Raises `StatusError`."""
    scope = find_scope(ctx, info)
    if scope is None:
        return responses.page_not_found()
    request.resource = scope.resource
    if ctx.shared_store and (request.method != "GET" or info.subresource):
        # What other servers have written counts: every decision of a write is about the present.
        await read.reach(ctx, await ctx.store.revision(), read.PATIENCE)
    if scope.converter is not None and info.verb in ("get", "list", "watch"):
        scope = await scope.converter.reading()
    if info.subresource:
        return await _subresource(ctx, scope, request, info)
    verb = info.verb
    plural = scope.resource.plural
    if scope.collection is None and info.name and "get" not in scope.resource.verbs:
        raise page_not_found()
    _check_served(scope, request, info)
    if scope.deprecation and scope.deprecation not in request.warnings:
        request.warnings.append(scope.deprecation)
    streams = verb in ("list", "watch")
    tables = ctx.tables is not None and (scope.collection is not None or verb != "create")
    accept, messages = request.headers.get("accept", ""), scope.resource.custom is None
    form = negotiation.negotiate(accept, streams=streams, tables=tables, messages=messages)
    if form.kind == negotiation.TABLE and request.method != "GET":
        check_options(request.query)
    handler = _UNSTORED.get((plural, verb)) if scope.collection is None else _VERBS[verb]
    if handler is None:
        raise page_not_found()
    return await handler(ctx, scope, request, form)


def _check_served(scope: Scope, request: Request, info: RequestInfo) -> None:
    """Raises `StatusError` 405 for what cannot be done here."""
    if scope.resource.custom is not None and info.verb in ("update", "patch") and not info.name:
        raise bad_request("name must be provided")
    if not _served(scope, request, info):
        raise method_not_allowed()
    resource = scope.resource
    if info.verb == "create" and resource.custom is not None and resource.custom.definition.ends:
        text = "create not allowed while custom resource definition is terminating"
        raise _not_supported(resource, text)


def _not_supported(resource: Resource, what: str) -> StatusError:
    """405 of custom resources, for a verb or with a text of its own."""
    text = what if " " in what else f'{what} is not supported on resources of kind "{resource.plural}.{resource.group}"'
    return StatusError(405, "MethodNotAllowed", text, {"group": resource.group, "kind": resource.plural})


def _served(scope: Scope, request: Request, info: RequestInfo) -> bool:
    """Whether the method does something on this path."""
    verb = info.verb
    if request.method in ("HEAD", "OPTIONS") or verb not in scope.verbs:
        return False
    if verb == "create" and info.name:
        return False
    if verb in ("update", "patch") and not info.name:
        return False
    # Nothing is created or deleted across namespaces.
    across = scope.resource.namespaced and not info.namespace
    return not (across and verb in ("create", "deletecollection"))


async def _subresource(ctx: Context, scope: Scope, request: Request, info: RequestInfo) -> Response:
    item = scope.subresources.get(info.subresource)
    if item is None and scope.resource.custom is not None:
        raise not_found(scope.resource.plural, scope.resource.group, info.name)
    if item is None:
        raise page_not_found()
    if (scope.resource.plural, item.name) in ctx.connectors or _connects(item):
        return await _connect(ctx, scope, request, info, item)
    if scope.resource.custom is not None and info.verb not in item.verbs:
        raise _not_supported(scope.resource, info.verb)
    if info.verb not in item.verbs or request.method == "HEAD":
        raise method_not_allowed()
    tables = ctx.tables is not None and item.name not in _TABLELESS
    messages = scope.resource.custom is None or item.name == "scale"
    form = negotiation.negotiate(request.headers.get("accept", ""), tables=tables, messages=messages)
    handler = _PARTS.get(info.verb) if item.name in _PART_NAMES else SUBRESOURCES.get((item.name, info.verb))
    if handler is None:
        raise page_not_found()
    return await handler(ctx, scope, request, form)


def _connects(item: Subresource) -> bool:
    return item.name in ("attach", "exec", "log", "portforward", "proxy")


async def _connect(ctx: Context, scope: Scope, request: Request, info: RequestInfo, item: Subresource) -> Response:
    """Hand a request over to what leads out of the API server: kubelets, pods, services."""
    # A proxy passes every method on; OPTIONS is no verb of the API's own.
    if info.verb not in item.verbs and not (item.name == "proxy" and request.method == "OPTIONS"):
        raise method_not_allowed()
    if item.name != "proxy":
        read.find(scope, info.namespace, info.name)
    if request.user is not None and item.name != "log":
        await _admit_connect(ctx, scope, request, info, request.user)
    handler = ctx.connectors.get((scope.resource.plural, item.name))
    if handler is None:
        raise service_unavailable(f"{scope.resource.plural}/{item.name} is not served: no connection to kubelets")
    return await handler(request)


async def _admit_connect(ctx: Context, scope: Scope, request: Request, info: RequestInfo, user: UserInfo) -> None:
    """Ask admission about a connection; it may change what is asked for. Raises `StatusError`."""
    item = scope.subresources[info.subresource]
    wanted = connect_options.of(GroupVersionKind(item.group, item.version, item.kind), request, info.rest)
    attributes = Attributes(
        operation="CONNECT",
        resource=scope.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
        object=dict(wanted),
        old_object=None,
        user=user,
        reader=ctx.reader,
        warn=request.warnings.append,
        annotations=request.record.annotations if request.record is not None else {},
    )
    await ctx.admission.admit(attributes)
    await ctx.admission.validate(attributes)
    connect_options.put(request, wanted, attributes.object or {})
