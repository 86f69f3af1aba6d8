"""The patch verb: JSON, merge and strategic merge patches, carried out anew after a conflict.

Source of the rules: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from knarr.api.resources import Resource
from knarr.apimachinery import field, json_patch, merge_patch, strategic
from knarr.apimachinery.errors import StatusError, bad_request, invalid, unsupported_media_type
from knarr.apimachinery.go_text import plain
from knarr.apimachinery.types import Object
from knarr.apiserver import bodies, creating, kinds, metadata, options, updating
from knarr.apiserver.context import Apply, Context, FieldManager
from knarr.apiserver.creating import Call
from knarr.apiserver.kinds import DecodeError
from knarr.apiserver.negotiation import Form
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope
from knarr.apiserver.updating import Change, Make

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
ACCEPTED = (JSON_PATCH, MERGE, STRATEGIC, APPLY)
#: Custom resources have no types that a strategic merge could follow.
_CUSTOM = (JSON_PATCH, MERGE, APPLY)


class Patched(NamedTuple):
    """What a patch of a media type made of an object: `result` shares with `old` what the patch left alone."""

    media: str
    patch: Any
    result: Any
    old: Object
    #: Nothing but the status will count: the new object may share the rest with the old one.
    of_status: bool = False


async def patch(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a PATCH on an object or its subresource. Raises `StatusError`."""
    media = media_type(scope, request)
    bodies.check_size(request)
    if media == APPLY:
        return await _apply(ctx, scope, request, form)
    one = creating.call(ctx, scope, request, "PatchOptions")
    change = Change(make=maker(one, media, load(request.body)), subresource=one.info.subresource)
    return updating.respond(ctx, scope, request, form, await updating.apply(one, change))


def media_type(scope: Scope, request: Request) -> str:
    """The kind of patch. Raises `StatusError` 415."""
    media = request.headers.get("content-type", "").split(";", 1)[0].strip()
    accepted = ACCEPTED if scope.resource.custom is None else _CUSTOM
    if media not in accepted:
        raise unsupported_media_type(accepted)
    return media


async def _apply(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    one = creating.call(ctx, scope, request, options.APPLY_OPTIONS)
    manager, how = appliers(one)
    subresource = one.info.subresource
    config = configuration(one)

    async def make(old: Object | None) -> Object:
        obj = manager.apply(scope.resource, config, old, how)
        kinds.default(scope.resource, obj)
        metadata.check_name(obj, one.info.namespace if old is not None else "", one.info.name)
        metadata.ensure_namespace(scope.resource, obj, one.info.namespace)
        return obj

    change = Change(make=make, subresource=subresource, may_create=not subresource)
    return updating.respond(ctx, scope, request, form, await updating.apply(one, change))


def appliers(one: Call) -> tuple[FieldManager, Apply]:
    """Who applies, and how. Raises `StatusError` 415 where nobody keeps managed fields."""
    if one.ctx.field_manager is None:
        raise unsupported_media_type(ACCEPTED[:-1])
    return one.ctx.field_manager, Apply(one.opts.manager, one.info.subresource, force=bool(one.opts.force))


def configuration(one: Call) -> Object:
    """The body of an apply: JSON or YAML. What strict decoding says of it is dealt with. Raises `StatusError` 400."""
    body, problems = bodies.yaml_object(one.request.body)
    if problems and one.opts.validation == "Strict":
        raise bad_request(f"error strict decoding YAML: {', '.join(problems)}")
    if problems and one.opts.validation == "Warn":
        one.request.warnings += problems
    return body


def load(data: bytes) -> Any:
    """A patch's JSON. Raises `StatusError` 400."""
    try:
        return bodies.parse(data)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error


def maker(one: Call, media: str, body: Any) -> Make:
    """Makes patched objects. What strict decoding complains about is said once."""
    resource = one.scope.resource
    told = False

    async def make(old: Object | None) -> Object:
        nonlocal told
        if old is None:
            raise LookupError("there is nothing to patch")
        patched = patch_object(old, media, body, resource_schema(one.scope))
        may_empty = bodies.may_empty(one.request.body)
        made = Patched(media, body, patched, old, of_status=one.info.subresource == "status" and not may_empty)
        obj, problems = _normalised(resource, made)
        if problems and not told:
            _complain(one, resource, made, problems)
            told = True
        if bodies.forgets_managers(patched):
            obj["metadata"]["managedFields"] = []
        emptied = may_empty and kinds.refill(resource, obj, patched)
        one.empties = patched if emptied else None
        if made.of_status and obj.get("spec") is old.get("spec"):
            kinds.default_status(resource, obj)
        else:
            kinds.default(resource, obj)
        if obj["metadata"].get("name"):
            metadata.ensure_namespace(resource, obj, one.info.namespace)
        metadata.check_name(obj, one.info.namespace, one.info.name)
        return obj

    return make


def resource_schema(scope: Scope) -> strategic.MergeSchema | None:
    """How the kind merges."""
    return kinds.merge_schema(scope.resource)


def patch_object(old: Object, media: str, body: Any, schema: strategic.MergeSchema | None) -> Any:
    """The object with the patch carried out; shares what was left alone. Raises `StatusError`."""
    if media == JSON_PATCH:
        return json_patch.apply(old, body)
    if media == MERGE:
        return merge_patch.apply(old, body)
    return strategic.apply(old, body, schema)


def normalised(one: Call, resource: Resource, made: Patched) -> Object:
    """A patched object of a kind, canonical, with complaints dealt with. Raises `StatusError` 422."""
    obj, problems = _normalised(resource, made)
    if problems:
        _complain(one, resource, made, problems)
    return obj


def _normalised(resource: Resource, made: Patched) -> tuple[Object, tuple[str, ...]]:
    try:
        return _read(resource, made)
    except DecodeError as error:
        raise _bad_patch(resource, made, error.cause) from error


def _read(resource: Resource, made: Patched) -> tuple[Object, tuple[str, ...]]:
    try:
        if made.of_status:
            obj, problems = kinds.normalise_status(resource, made.result, made.old)
        else:
            obj, problems = kinds.normalise(resource, made.result)
    except DecodeError:
        if made.media != STRATEGIC:
            raise
        obj, problems = kinds.normalise(resource, kinds.restore(resource, made.result))
    return obj, tuple(sorted(problems)) if made.media == STRATEGIC else problems


def _complain(one: Call, resource: Resource, made: Patched, problems: tuple[str, ...]) -> None:
    if one.opts.validation == "Strict":
        raise _bad_patch(resource, made, f"strict decoding error: {', '.join(problems)}")
    if one.opts.validation == "Warn":
        one.request.warnings += problems


def _bad_patch(resource: Resource, made: Patched, why: str) -> StatusError:
    """422: the patched object is none of its kind."""
    if made.media == STRATEGIC:
        shown = plain(made.patch)
    else:
        shown = kinds.shown_patched(resource, made.result, made.old, merged=made.media == MERGE)
    return invalid("", "", "", [field.invalid("patch", shown, why)])
