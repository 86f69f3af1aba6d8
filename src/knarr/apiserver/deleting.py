"""The delete and deletecollection verbs.

Source of the order: k8s.io/apiserver/pkg/endpoints/handlers/delete.go and registry/generic/registry/store.go.
"""

from __future__ import annotations

import re
from typing import Any

from knarr.api.custom import status as definition_status
from knarr.api.registry import CUSTOMRESOURCEDEFINITIONS
from knarr.apimachinery import field, timestamps
from knarr.apimachinery.errors import StatusError, bad_request, conflict, invalid, not_found
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object
from knarr.apiserver import (
    bodies,
    deletion,
    kinds,
    listing,
    negotiation,
    options,
    projection,
    read,
    responses,
)
from knarr.apiserver.context import Context
from knarr.apiserver.creating import Call
from knarr.apiserver.negotiation import YAML, Form
from knarr.apiserver.options import WriteOptions
from knarr.apiserver.request import Request, Response
from knarr.apiserver.request_info import is_true
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Entry
from knarr.storage.store import ConflictError, KeyNotFoundError

_META = "meta.k8s.io"
_ATTEMPTS = 50
_OPTIONS = {"kind": "DeleteOptions", "apiVersion": f"{_META}/v1"}
_SCHEME = "pkg/apis/meta/internalversion/scheme/register.go:27"
_POLICIES = ("Foreground", "Background", "Orphan")
_TYPES: dict[str, tuple[type, str]] = {
    "gracePeriodSeconds": (int, "int64"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "string"),
    "dryRun": (list, "[]string"),
    "preconditions": (dict, "v1.Preconditions"),
}
_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
_VERSION = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")


#: Said when a Job is deleted and nobody said what becomes of its pods.
_PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


async def delete(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a DELETE on one object. Raises `StatusError`."""
    wanted = read_options(request)
    one = _call(ctx, scope, request, wanted)
    found, deleted = await delete_object(one, one.info.namespace, one.info.name, wanted)
    found = await projection.viewed(scope, found)
    return _respond(one, found, form, deleted=deleted, wanted=wanted)


async def delete_collection(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a DELETE on a collection: what was there, each deleted. Raises `StatusError`."""
    wanted = read_options(request)
    one = _call(ctx, scope, request, wanted)
    shown = scope if scope.converter is None else await scope.converter.reading()
    opts, ask = listing.parse(shown, one.info, request)
    page = await listing.page_of(ctx, shown, one.info.namespace, opts, ask)
    await one.ctx.admission.admit(one.attributes("DELETE", None, None, ""))
    for entry in page.entries:
        head = entry.head.metadata
        try:
            await delete_object(one, head.namespace, head.name, dict(wanted))
        except StatusError as error:
            if error.code != 404:
                raise
    return listing.respond_page(ctx, shown, request, form, page, scope.prefix(one.info.namespace))


def _call(ctx: Context, scope: Scope, request: Request, wanted: Object) -> Call:
    if request.info is None or request.user is None:
        raise LookupError("the request has not passed the pipeline")
    opts = WriteOptions(dry_run=bool(wanted.get("dryRun")))
    silent = wanted.get("propagationPolicy") is None and wanted.get("orphanDependents") is None
    if silent and (scope.resource.plural, scope.resource.group) == ("jobs", "batch"):
        request.warnings.append(_PODS_STAY)
    return Call(ctx, scope, request, request.info, request.user, opts)


# options


def read_options(request: Request) -> Object:
    """DeleteOptions from the body, else from the query. Raises `StatusError` 400, 415, 422."""
    bodies.check_size(request)
    found = _from_body(request) if request.body else _from_query(request)
    check_options(found)
    return found


def check_options(found: Object) -> None:
    """Raises `StatusError` 422 for options that contradict themselves."""
    errors = _errors(found)
    if errors:
        raise invalid("DeleteOptions", _META, "", errors)


def _from_body(request: Request) -> Object:
    media = negotiation.body_media(request.headers.get("content-type", ""))
    data = request.body
    try:
        found = bodies.any_object(data, media)
    except ValueError as error:
        label = "" if media == YAML else "json parse error: "
        raise bad_request(f"couldn't get version/kind; {label}{error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into DeleteOptions")
    _check_kind(found)
    _check_types(found)
    return found


def _check_kind(found: Object) -> None:
    """Any group's options will do; another kind will not."""
    for name in ("apiVersion", "kind"):
        value = found.get(name)
        if value is not None and not isinstance(value, str):
            shown = _NAMES.get(type(value), "object")
            text = f"cannot unmarshal {shown} into Go struct field .{name} of type string"
            raise bad_request(f"couldn't get version/kind; json parse error: json: {text}")
    kind, version = found.get("kind") or "DeleteOptions", found.get("apiVersion") or "v1"
    if kind != "DeleteOptions" or not _VERSION.fullmatch(parse_api_version(version)[1]):
        text = f"no kind {field.quote(kind)} is registered for version {field.quote(version)} in scheme"
        raise bad_request(f'{text} "{_SCHEME}"')


def _check_types(found: Object) -> None:
    for name, (wanted, go_type) in _TYPES.items():
        value = found.get(name)
        if value is None:
            continue
        if type(value) is not wanted:
            shown = _NAMES.get(type(value), "object")
            raise bad_request(
                f"json: cannot unmarshal {shown} into Go struct field DeleteOptions.{name} of type {go_type}"
            )


def _from_query(request: Request) -> Object:
    out: Object = {}
    query = request.query
    grace = options.int64(query.get("gracePeriodSeconds", ""))
    if grace is not None:
        out["gracePeriodSeconds"] = grace
    if "orphanDependents" in query:
        out["orphanDependents"] = is_true(query["orphanDependents"])
    if query.get("propagationPolicy"):
        out["propagationPolicy"] = query["propagationPolicy"]
    if "dryRun" in query:
        out["dryRun"] = request.query_lists.get("dryRun", [query["dryRun"]])
    return out


def _errors(found: Object) -> list[field.FieldError]:
    errors = []
    policy: Any = found.get("propagationPolicy")
    if policy is not None and found.get("orphanDependents") is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(field.invalid("propagationPolicy", policy, text))
    if policy is not None and policy not in _POLICIES:
        errors.append(field.not_supported("propagationPolicy", policy, (*_POLICIES, "nil")))
    return errors + options.dry_run_errors(found.get("dryRun") or [])


# the deletion


async def delete_object(one: Call, namespace: str, name: str, wanted: Object) -> tuple[Entry, bool]:
    """Delete one object: its last state, and whether it is gone. Raises `StatusError`."""
    scope = one.scope
    key = scope.stored.key(namespace, name)
    entry = scope.keep.entries.get(key)
    for _ in range(_ATTEMPTS):
        if entry is None:
            raise not_found(scope.resource.plural, scope.resource.group, name)
        try:
            return await _attempt(one, entry, wanted)
        except ConflictError as error:
            entry = scope.keep.entry_of(error.current)
        except KeyNotFoundError:
            entry = None
    raise not_found(scope.resource.plural, scope.resource.group, name)


async def _attempt(one: Call, entry: Entry, wanted: Object) -> tuple[Entry, bool]:
    ctx, scope = one.ctx, one.scope
    old = projection.served(scope, await projection.viewed(scope, entry))
    attributes = one.attributes("DELETE", None, old, old["metadata"]["name"])
    attributes.namespace = old["metadata"].get("namespace", "")
    attributes.options = {**wanted, **_OPTIONS}
    # An eviction has been admitted as what it is.
    direct = not one.info.subresource
    if direct:
        await ctx.admission.admit(attributes)
    plan = _plan(one, old, wanted)
    if direct:
        await ctx.admission.validate(attributes)
    if plan.action == "nothing":
        return entry, False
    if plan.action == "remove":
        return await _remove(one, entry, old), True
    if one.opts.dry_run and scope.converter is not None:
        return await projection.viewed(scope, entry), plan.action == "mark-and-remove"
    if one.opts.dry_run:
        return dry_entry(scope, entry, plan.obj), plan.action == "mark-and-remove"
    stored = await projection.stored_form(scope, plan.obj)
    if plan.obj != old:
        entry = await ctx.writer.update(scope, entry, stored)
    if plan.action == "keep":
        return entry, False
    try:
        return await _remove(one, entry, old), True
    except KeyNotFoundError:
        # Who watches for the mark (a kubelet) was quicker to remove what we have just marked.
        return entry, True


def _plan(one: Call, old: Object, wanted: Object) -> deletion.Plan:
    scope, now = one.scope, one.ctx.clock.now()
    if (scope.resource.plural, scope.resource.group) == ("namespaces", ""):
        return namespace_plan(scope, old, wanted, timestamps.seconds(now))
    if scope.resource is CUSTOMRESOURCEDEFINITIONS and not old["metadata"].get("deletionTimestamp"):
        # It stays until its objects are gone, however it was asked for.
        _check_identity(scope, old, wanted)
        return deletion.Plan("keep", definition_status.marked(old, timestamps.seconds(now)))
    return deletion.plan(scope.resource, scope.traits, old, wanted, now)


def namespace_plan(scope: Scope, old: Object, wanted: Object, stamp: str) -> deletion.Plan:
    """A namespace ends in two steps: it is marked, emptied by a controller, and goes when that has finalized it."""
    _check_identity(scope, old, wanted)
    meta = old["metadata"]
    if not meta.get("deletionTimestamp"):
        obj = {
            **old,
            "metadata": {**meta, "deletionTimestamp": stamp},
            "status": {**(old.get("status") or {}), "phase": "Terminating"},
        }
        if (old.get("spec") or {}).get("finalizers") or meta.get("finalizers"):
            return deletion.Plan("keep", obj)
        return deletion.Plan("remove", old)
    if (old.get("spec") or {}).get("finalizers") or meta.get("finalizers"):
        return deletion.Plan("nothing", old)
    return deletion.Plan("remove", old)


def _check_identity(scope: Scope, old: Object, wanted: Object) -> None:
    """Namespaces and definitions check preconditions on their own, with other words. Raises `StatusError` 409."""
    resource = scope.resource
    meta, asked = old["metadata"], wanted.get("preconditions") or {}
    for name, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if asked.get(name) is not None and asked[name] != meta.get(name):
            text = (
                f"Precondition failed: {label} in precondition: {asked[name]}, {label} in object meta: {meta.get(name)}"
            )
            raise conflict(resource.plural, resource.group, meta["name"], text)


async def _remove(one: Call, entry: Entry, old: Object) -> Entry:
    if one.opts.dry_run:
        return entry
    gone = await one.ctx.writer.delete(one.scope, entry)
    hook = one.ctx.hooks.get((one.scope.resource.plural, one.scope.resource.group))
    if hook is not None:
        hook.after_delete(old)
    return gone


def dry_entry(scope: Scope, entry: Entry, obj: Object) -> Entry:
    """An entry for an object that is not written, at the revision it would replace."""
    from knarr.apiserver.watch_cache import encode
    from knarr.storage.store import KeyValue

    stored = kinds.convert(obj, scope.resource, scope.stored) if scope.converts else obj
    value = encode(stored, scope.keep.suffix)
    return scope.keep.entry_of(KeyValue(entry.key, value, entry.revision, entry.revision))


def _respond(one: Call, entry: Entry, form: Form, *, deleted: bool, wanted: Object) -> Response:
    scope, request = one.scope, one.request
    if not deleted or scope.traits.returns_deleted:
        status = 202 if not deleted and wanted.get("orphanDependents") is False else 200
        return read.entry_response(one.ctx, scope, entry, request, form, status)
    resource = scope.resource
    details: Object = {"name": one.info.name}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    details["uid"] = projection.served(scope, entry)["metadata"].get("uid", "")
    return responses.obj(responses.success(request, details=details), request, Form(form.media))
