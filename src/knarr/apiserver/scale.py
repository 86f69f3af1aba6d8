"""The scale subresource: the replicas of a workload, whatever its kind, as a Scale.

Source of the rules: pkg/registry/apps/*/storage (ScaleREST).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.resources import Resource
from knarr.apimachinery import field
from knarr.apimachinery.errors import MODIFIED, conflict, internal, invalid
from knarr.apimachinery.types import Object
from knarr.apiserver import bodies, creating, kinds, metadata, options, patching, projection, read, updating
from knarr.apiserver.context import Context
from knarr.apiserver.creating import Call
from knarr.apiserver.negotiation import Form
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope
from knarr.apiserver.updating import Change, Outcome

#: The kind of the bodies.
SCALE = Resource("autoscaling", "v1", "scales", "Scale", namespaced=True)
_Edit = Callable[[Object], Object]


async def get(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a GET. Raises `StatusError`."""
    if request.info is None:
        raise LookupError("the request has not passed the pipeline")
    entry = read.find(scope, request.info.namespace, request.info.name)
    return read.object_response(ctx, scope, of(scope.resource, projection.served(scope, entry)), request, form)


async def update(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a PUT. Raises `StatusError`."""
    one = creating.call(ctx, scope, request, "UpdateOptions")
    body = bodies.read(request, SCALE, one.opts.validation)
    metadata.check_name(body, one.info.namespace, one.info.name)
    outcome = await _apply(one, lambda _old: body)
    return read.object_response(ctx, scope, _answer(scope, outcome), request, form)


async def patch(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a PATCH. Raises `StatusError`."""
    bodies.check_size(request)
    media = patching.media_type(scope, request)
    if media == patching.APPLY:
        return await _applied(ctx, scope, request, form)
    one = creating.call(ctx, scope, request, "PatchOptions")
    content = patching.load(request.body)
    outcome = await _apply(one, lambda old: _patched(one, old, media, content))
    return read.object_response(ctx, scope, _answer(scope, outcome), request, form)


async def _applied(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    one = creating.call(ctx, scope, request, options.APPLY_OPTIONS)
    manager, how = patching.appliers(one)
    config = patching.configuration(one)

    async def make(old: Object | None) -> Object:
        if old is None:
            raise LookupError("a scale makes no workload")
        obj = manager.apply_scale(scope.resource, config, old, how)
        _validate(one, of(scope.resource, obj), old)
        return obj

    outcome = await updating.apply(one, Change(make=make, subresource="scale"))
    return read.object_response(ctx, scope, _answer(scope, outcome), request, form)


def _patched(one: Call, old: Object, media: str, content: Any) -> Object:
    changed = patching.patch_object(old, media, content, kinds.merge_schema(SCALE))
    return patching.normalised(one, SCALE, patching.Patched(media, content, changed, old))


async def _apply(one: Call, edit: _Edit) -> Outcome:
    async def make(old: Object | None) -> Object:
        if old is None:
            raise LookupError("a scale makes no workload")
        resource = one.scope.resource
        try:
            wanted = edit(kinds.scale_of(resource, old, missing=0))
            _validate(one, wanted, old)
            return kinds.set_scale(resource, old, wanted)
        except ValueError as error:
            raise internal(str(error)) from error

    return await updating.apply(one, Change(make=make, subresource="scale"))


def _validate(one: Call, wanted: Object, old: Object) -> None:
    version = wanted["metadata"].get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        resource = one.scope.resource
        raise conflict(resource.plural, resource.group, one.info.name, MODIFIED)
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    # Custom resources are judged as a whole, by their own paths.
    if replicas < 0 and one.scope.resource.custom is None:
        error = field.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid("Scale", "autoscaling", one.info.name, [error])


def _answer(scope: Scope, outcome: Outcome) -> Object:
    obj = outcome.obj
    if outcome.entry is not None:
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(outcome.entry.revision)}}
    return of(scope.resource, obj)


def of(resource: Resource, obj: Object) -> Object:
    """The Scale of a workload. Raises `StatusError` 500 for a selector that is not valid, or missing replicas."""
    try:
        return kinds.scale_of(resource, obj)
    except ValueError as error:
        raise internal(str(error)) from error
