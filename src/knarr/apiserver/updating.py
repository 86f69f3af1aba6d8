"""The update verb, and the guarded update that all changes of an existing object go through.

Source of the order: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Update), registry/rest/update.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from knarr.apimachinery import field, managed_fields
from knarr.apimachinery.errors import MODIFIED, StatusError, conflict, invalid, not_found
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object
from knarr.apiserver import (
    admin_access,
    bodies,
    creating,
    guarded,
    judging,
    kinds,
    metadata,
    options,
    projection,
    read,
    revision_data,
)
from knarr.apiserver.authz import escalation
from knarr.apiserver.authz.decision import forbidden
from knarr.apiserver.context import Context
from knarr.apiserver.creating import Call
from knarr.apiserver.hooks import begin
from knarr.apiserver.negotiation import Form
from knarr.apiserver.request import Request, Response
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Entry, OldEntry
from knarr.storage.store import ConflictError, KeyExistsError, KeyNotFoundError

#: Kinds that tell an empty list from none when they look for a change.
_EMPTY_COUNTS = frozenset({"mutatingwebhookconfigurations", "validatingwebhookconfigurations"})
#: How often a change is made anew because somebody else was faster.
_ATTEMPTS = 50
#: Makes the new object from the old one (None: it does not exist). Called again after a conflict.
Make = Callable[[Object | None], Awaitable[Object]]


class Change(msgspec.Struct):
    """What a request wants changed."""

    make: Make
    #: What the strategy, validation and admission take the change for; usually the request's subresource.
    subresource: str = ""
    #: An object that does not exist is made.
    may_create: bool = False
    #: The uid that the object must have, if any.
    uid: str = ""


class Outcome(msgspec.Struct):
    """What became of a change. `entry` is None for a dry run; `obj` is in the served version."""

    obj: Object
    entry: Entry | None
    created: bool = False
    deleted: bool = False


async def update(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a PUT on an object or its subresource. Raises `StatusError`."""
    one = creating.call(ctx, scope, request, "UpdateOptions")
    info = one.info
    first: list[Object] = []

    def decoded() -> Object:
        obj = bodies.read(request, scope.resource, one.opts.validation)
        one.empties = bodies.refill(request, scope.resource, obj)
        kinds.default(scope.resource, obj)
        metadata.check_name(obj, info.namespace, info.name)
        metadata.ensure_namespace(scope.resource, obj, info.namespace)
        return obj

    async def make(_old: Object | None) -> Object:
        # Admission changes the object: a second attempt needs the body again, and no second warnings.
        if first:
            return first.pop()
        kept = list(request.warnings)
        obj = decoded()
        request.warnings[:] = kept
        return obj

    body = decoded()
    first.append(body)
    change = Change(
        make=make,
        subresource=info.subresource,
        may_create=scope.traits.create_on_update and not info.subresource,
        uid=body["metadata"].get("uid", ""),
    )
    return respond(ctx, scope, request, form, await apply(one, change))


def respond(ctx: Context, scope: Scope, request: Request, form: Form, outcome: Outcome) -> Response:
    """The answer for a change."""
    status = 201 if outcome.created else 200
    if outcome.entry is None:
        return read.object_response(ctx, scope, outcome.obj, request, form, status)
    return read.entry_response(ctx, scope, outcome.entry, request, form, status)


async def apply(one: Call, change: Change) -> Outcome:
    """Carry out a change, anew after every conflict. Raises `StatusError`."""
    scope, info = one.scope, one.info
    key = scope.stored.key(info.namespace, info.name)
    entry = scope.keep.entries.get(key)
    for _ in range(_ATTEMPTS):
        try:
            if entry is None:
                return await _create(one, change)
            return await _attempt(one, change, entry)
        except ConflictError as error:
            entry = scope.keep.entry_of(error.current)
        except KeyNotFoundError:
            entry = None
        except KeyExistsError:
            entry = scope.keep.entries.get(key)
    resource = scope.resource
    raise conflict(resource.plural, resource.group, info.name, MODIFIED)


async def _create(one: Call, change: Change) -> Outcome:
    resource = one.scope.resource
    if not change.may_create:
        raise not_found(resource.plural, resource.group, one.info.name)
    question = msgspec.structs.replace(one.info, verb="create")
    decision = one.ctx.authorizers.authorize(one.user, question)
    if not decision.allowed:
        raise forbidden(one.user, question, decision)
    obj = await change.make(None)
    metadata.wipe_system_fields(obj)
    obj["metadata"].pop("resourceVersion", None)
    entry = await creating.create_object(one, obj)
    if entry is not None:
        entry = await projection.viewed(one.scope, entry)
    return Outcome(obj, entry, created=True)


async def _attempt(one: Call, change: Change, entry: Entry) -> Outcome:
    ctx, scope = one.ctx, one.scope
    old = projection.served(scope, await projection.viewed(scope, entry))
    _check_uid(one, change, entry, old)
    obj = await change.make(old)
    warn = one.request.warnings.append
    metadata.dedup_owners(obj, warn, after_admission=False)
    _manage_fields(one, change, obj, old)
    attributes = one.attributes("UPDATE", obj, old, one.info.name)
    await ctx.admission.admit(attributes)
    metadata.ensure_namespace(scope.resource, obj, one.info.namespace)
    metadata.dedup_owners(obj, warn, after_admission=True)
    _check_version(one, obj, old)
    hook = ctx.hooks.get((scope.resource.plural, scope.resource.group)) if not change.subresource else None
    finish = await begin(hook, obj, old, dry_run=one.opts.dry_run)
    done = False
    try:
        await _prepare(one, change, obj, old)
        if revision_data.concerns(scope.resource):
            revision_data.check(scope.resource, one.request, obj, entry)
        await ctx.admission.validate(attributes)
        outcome = await _store(one, obj, old, entry)
        done = True
        return outcome
    finally:
        finish(done)


def _manage_fields(one: Call, change: Change, obj: Object, old: Object) -> None:
    if one.opts.applies:
        # What an apply makes has its owners already.
        return
    creating.note_owners(one, one.scope.resource, obj, old, change.subresource)


def _check_uid(one: Call, change: Change, entry: Entry, old: Object) -> None:
    have = old["metadata"].get("uid", "")
    if change.uid and change.uid != have:
        why = f"UID in precondition: {change.uid}, UID in object meta: {have}"
        raise guarded.precondition(one.scope, entry.key, one.info.name, why)


def _check_version(one: Call, obj: Object, old: Object) -> None:
    resource, meta = one.scope.resource, obj["metadata"]
    current = old["metadata"]["resourceVersion"]
    given = meta.get("resourceVersion", "")
    if given in ("", "0"):
        if not one.scope.traits.unconditional_update:
            error = field.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(resource.plural, resource.group, one.info.name, [error])
        meta["resourceVersion"] = current
    elif given != current:
        if not (given.isascii() and given.isdigit()):
            raise StatusError(500, "", options.parse_uint_error(given))
        raise conflict(resource.plural, resource.group, one.info.name, MODIFIED)


async def _prepare(one: Call, change: Change, obj: Object, old: Object) -> None:
    """Strategy, escalation check, validation, warnings. Raises `StatusError`."""
    resource = one.scope.resource
    now = one.now()
    counts = resource.plural in _EMPTY_COUNTS
    if one.empties is not None and not counts:
        # Most kinds take an empty list for none when they compare.
        kinds.strip(resource, obj)
    metadata.keep_system_fields(obj, old, now)
    kinds.prepare_update(resource, obj, old, change.subresource, now)
    if escalation.concerns(resource):
        escalation.check(one.attributes("UPDATE", obj, old, one.info.name), one.ctx.authorizers)
    errors = await _errors(one, change, obj, old)
    if errors:
        raise invalid(resource.kind, resource.storage_group, obj["metadata"].get("name", ""), errors)
    one.request.warnings += kinds.warnings(resource, obj, old)
    if one.empties is not None and counts:
        kinds.strip(resource, obj)


async def _errors(one: Call, change: Change, obj: Object, old: Object) -> list[FieldError]:
    """What is wrong with a change."""
    resource = one.scope.resource
    errors = admin_access.check(resource, obj, old, change.subresource, one.ctx.reader)
    found = await judging.of_changed(resource, obj, old, change.subresource, one.request)
    if found and one.empties is not None:
        # Messages show what was sent, empty lists and all.
        kinds.refill(resource, obj, one.empties)
        again = await judging.of_changed(resource, obj, old, change.subresource, one.request)
        found = again if len(again) == len(found) else found
    return [*errors, *found]


async def _store(one: Call, obj: Object, old: Object, entry: Entry) -> Outcome:
    if managed_fields.same_but_times(obj, old):
        obj["metadata"]["managedFields"] = old["metadata"]["managedFields"]
    if obj == old and not (isinstance(entry, OldEntry) or one.ctx.writer.stale(entry.key)):
        return Outcome(obj, await projection.viewed(one.scope, entry))
    scope = one.scope
    if should_delete(scope, obj, old):
        if one.opts.dry_run:
            return Outcome(obj, None, deleted=True)
        await one.ctx.writer.delete(one.scope, entry)
        hook = one.ctx.hooks.get((scope.resource.plural, scope.resource.group))
        if hook is not None:
            hook.after_delete(old)
        return Outcome(obj, None, deleted=True)
    if one.opts.dry_run:
        return Outcome(obj, None)
    stored = await projection.stored_form(scope, obj)
    if revision_data.concerns(scope.resource):
        stored = revision_data.verbatim(one.request, stored)
    written = await one.ctx.writer.update(scope, entry, stored)
    return Outcome(obj, await projection.viewed(scope, written))


def should_delete(scope: Scope, obj: Object, old: Object) -> bool:
    """Whether the change takes away what kept an object that is being deleted."""
    meta, before = obj["metadata"], old["metadata"]
    if meta.get("finalizers") or not before.get("deletionTimestamp") or before.get("deletionGracePeriodSeconds"):
        return False
    if scope.resource.plural == "namespaces" and not scope.resource.group:
        return not (obj.get("spec") or {}).get("finalizers")
    return True
