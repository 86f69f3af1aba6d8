"""The create verb: decode, admit, default, validate, one guarded write.

Source of the order: k8s.io/apiserver/pkg/endpoints/handlers/create.go and registry/generic/registry/store.go.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from knarr.api.resources import Resource
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError, already_exists, invalid
from knarr.apimachinery.types import Object
from knarr.apiserver import (
    admin_access,
    bodies,
    judging,
    kinds,
    metadata,
    names,
    options,
    projection,
    read,
    revision_data,
)
from knarr.apiserver.attributes import Attributes
from knarr.apiserver.authz import escalation
from knarr.apiserver.context import Context
from knarr.apiserver.hooks import begin
from knarr.apiserver.negotiation import Form
from knarr.apiserver.options import WriteOptions
from knarr.apiserver.request import Request, RequestInfo, Response, UserInfo
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Entry
from knarr.storage.store import KeyExistsError

#: How often a generated name is tried.
_ATTEMPTS = 8


class Call(msgspec.Struct):
    """One write request: who asks for what, with which options."""

    ctx: Context
    scope: Scope
    request: Request
    info: RequestInfo
    user: UserInfo
    opts: WriteOptions
    #: The body that the object was made of, if it has lists and maps that are empty: the object has them until it has
    #: been judged.
    empties: Any = None

    def attributes(self, operation: str, obj: Object | None, old: Object | None, name: str) -> Attributes:
        """What admission is given."""
        return Attributes(
            operation=operation,  # type: ignore[arg-type]
            resource=self.scope.resource,
            subresource=self.info.subresource,
            namespace=self.info.namespace,
            name=name,
            object=obj,
            old_object=old,
            user=self.user,
            reader=self.ctx.reader,
            dry_run=self.opts.dry_run,
            options=options.operation_options(operation, self.request.query),
            warn=self.request.warnings.append,
            annotations=self.request.record.annotations if self.request.record is not None else {},
        )

    def now(self) -> str:
        """The time as it stands in objects."""
        return timestamps.seconds(self.ctx.clock.now())


def call(ctx: Context, scope: Scope, request: Request, kind: str) -> Call:
    """A write request with its options checked; `kind` names them (`CreateOptions`). Raises `StatusError`."""
    if request.info is None or request.user is None:
        raise LookupError("the request has not passed the pipeline")
    agent = request.headers.get("user-agent", "")
    opts = options.write_options(kind, request.query, request.query_lists, agent)
    return Call(ctx, scope, request, request.info, request.user, opts)


async def create(ctx: Context, scope: Scope, request: Request, form: Form) -> Response:
    """Answer a POST on a collection. Raises `StatusError`."""
    one = call(ctx, scope, request, "CreateOptions")
    obj = bodies.read(request, scope.resource, one.opts.validation)
    one.empties = bodies.refill(request, scope.resource, obj)
    kinds.default(scope.resource, obj)
    metadata.ensure_namespace(scope.resource, obj, one.info.namespace)
    metadata.wipe_system_fields(obj)
    entry = await create_object(one, obj)
    if entry is None:
        return read.object_response(ctx, scope, obj, request, form, 201)
    return read.entry_response(ctx, scope, await projection.viewed(scope, entry), request, form, 201)


async def create_object(one: Call, obj: Object) -> Entry | None:
    """Admit, complete and write a new object; None for a dry run. Raises `StatusError`."""
    attributes = await admit(one, obj)
    # Admission may have changed it: an object stays where its maker may write.
    metadata.ensure_namespace(one.scope.resource, obj, one.info.namespace)
    base = "" if obj["metadata"].get("name") else obj["metadata"].get("generateName") or ""
    for attempt in range(_ATTEMPTS if base else 1):
        if base:
            obj["metadata"]["name"] = names.generated(base)
        try:
            return await _store(one, obj, attributes)
        except KeyExistsError as error:
            if attempt == _ATTEMPTS - 1 or not base:
                raise _exists(one, obj, generated=bool(base)) from error
    raise AssertionError("unreachable")


async def admit(one: Call, obj: Object) -> Attributes:
    """The part before the registry: managed fields and mutating admission. Raises `StatusError`."""
    warn = one.request.warnings.append
    metadata.dedup_owners(obj, warn, after_admission=False)
    manage_fields(one, one.scope.resource, obj)
    name = one.info.name or obj["metadata"].get("name", "")
    attributes = one.attributes("CREATE", obj, None, name)
    await one.ctx.admission.admit(attributes)
    metadata.dedup_owners(obj, warn, after_admission=True)
    return attributes


def manage_fields(one: Call, resource: Resource, obj: Object) -> None:
    """Note who owns the fields of a new object."""
    if one.opts.applies:
        # What an apply makes has its owners already.
        return
    note_owners(one, resource, obj, None, one.info.subresource)


def note_owners(one: Call, resource: Resource, obj: Object, old: Object | None, subresource: str) -> None:
    """Note who owns the fields of an object: of empty lists those that Go writes, if only as null."""
    manager = one.ctx.field_manager
    if manager is None:
        obj["metadata"].pop("managedFields", None)
    elif one.empties is not None:
        written, meta = copy.deepcopy(obj), obj["metadata"]
        kinds.strip(resource, written, nulls=False)
        if "managedFields" in meta:
            # An empty list of these is a wish.
            written["metadata"]["managedFields"] = meta["managedFields"]
        manager.update(resource, written, old, one.opts.manager, subresource)
        meta.pop("managedFields", None)
        if "managedFields" in written["metadata"]:
            meta["managedFields"] = written["metadata"]["managedFields"]
    else:
        manager.update(resource, obj, old, one.opts.manager, subresource)


async def _store(one: Call, obj: Object, attributes: Attributes) -> Entry | None:
    ctx, scope = one.ctx, one.scope
    metadata.fill_system_fields(obj, one.now(), names.uid())
    hook = ctx.hooks.get((scope.resource.plural, scope.resource.group))
    finish = await begin(hook, obj, None, dry_run=one.opts.dry_run)
    done = False
    try:
        await prepare(one, obj)
        attributes.name = obj["metadata"].get("name", "")
        await ctx.admission.validate(attributes)
        entry = await write(one, obj)
        done = True
        return entry
    finally:
        finish(done)


async def prepare(one: Call, obj: Object) -> None:
    """Strategy, RBAC's escalation check, validation, warnings of a new object. Raises `StatusError`."""
    resource = one.scope.resource
    kinds.prepare_create(resource, obj)
    if (resource.plural, resource.group) == ("certificatesigningrequests", "certificates.k8s.io"):
        _stamp_requester(obj, one.user)
    if escalation.concerns(resource):
        escalation.check(one.attributes("CREATE", obj, None, one.info.name), one.ctx.authorizers)
    errors = admin_access.check(resource, obj, None, "", one.ctx.reader)
    errors += await judging.of_new(resource, obj, one.request)
    if errors:
        raise invalid(resource.kind, resource.storage_group, obj["metadata"].get("name", ""), errors)
    one.request.warnings += kinds.warnings(resource, obj)
    if one.empties is not None:
        kinds.strip(resource, obj)


def _stamp_requester(obj: Object, user: UserInfo) -> None:
    """A signing request says who made it."""
    spec = obj["spec"]
    spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}


async def write(one: Call, obj: Object) -> Entry | None:
    """Write a new object; None for a dry run. Raises `KeyExistsError`."""
    scope, meta = one.scope, obj["metadata"]
    key = scope.stored.key(meta.get("namespace", ""), meta["name"])
    if one.opts.dry_run:
        if key in scope.keep.entries:
            raise KeyExistsError(key)
        return None
    if meta.pop("resourceVersion", None):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    stored = await projection.stored_form(scope, obj)
    if revision_data.concerns(scope.resource):
        stored = revision_data.verbatim(one.request, stored)
    return await one.ctx.writer.create(scope, key, stored)


def _exists(one: Call, obj: Object, *, generated: bool) -> StatusError:
    resource, meta = one.scope.resource, obj["metadata"]
    error = already_exists(resource.plural, resource.group, meta["name"])
    if generated:
        error.message = f"{error.message}, the server was not able to generate a unique name for the object"
        return error
    entry = one.scope.keep.entries.get(one.scope.stored.key(meta.get("namespace", ""), meta["name"]))
    if entry is not None and entry.decode()["metadata"].get("deletionTimestamp"):
        error.message = f"object is being deleted: {error.message}"
    return error
