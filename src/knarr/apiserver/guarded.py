"""A guarded change outside the update verb: no strategy, no admission, just read, change and write until it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from knarr.apimachinery.errors import MODIFIED, StatusError, conflict, not_found
from knarr.apimachinery.types import Object
from knarr.apiserver import projection
from knarr.apiserver.context import Context
from knarr.apiserver.served import Scope
from knarr.apiserver.watch_cache import Entry
from knarr.storage.store import ConflictError, KeyNotFoundError

_ATTEMPTS = 50
#: Makes the changed object from a fresh copy of the old one. Raises `StatusError` to refuse.
Edit = Callable[[Object], Object]


@dataclass(frozen=True, slots=True)
class Target:
    """The object to change, and what it must be: empty stands for anything."""

    scope: Scope
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""


async def change(ctx: Context, target: Target, edit: Edit, *, dry_run: bool = False) -> Entry | None:
    """Change one object; None for a dry run. Raises `StatusError`."""
    scope = target.scope
    key = scope.stored.key(target.namespace, target.name)
    entry = scope.keep.entries.get(key)
    for _ in range(_ATTEMPTS):
        if entry is None:
            raise not_found(scope.resource.plural, scope.resource.group, target.name)
        old = projection.served(scope, await projection.viewed(scope, entry))
        _check(target, key, old)
        obj = edit(old)
        if dry_run:
            return None
        stored = await projection.stored_form(scope, obj)
        try:
            return await ctx.writer.update(scope, entry, stored)
        except ConflictError as error:
            entry = scope.keep.entry_of(error.current)
        except KeyNotFoundError:
            entry = None
    raise conflict(scope.resource.plural, scope.resource.group, target.name, MODIFIED)


def _check(target: Target, key: str, old: Object) -> None:
    meta = old["metadata"]
    if target.uid and target.uid != meta.get("uid"):
        why = f"UID in precondition: {target.uid}, UID in object meta: {meta.get('uid')}"
        raise precondition(target.scope, key, target.name, why)
    version = meta["resourceVersion"]
    if target.resource_version and target.resource_version != version:
        why = f"ResourceVersion in precondition: {target.resource_version}, ResourceVersion in object meta: {version}"
        raise precondition(target.scope, key, target.name, why)


def precondition(scope: Scope, key: str, name: str, why: str) -> StatusError:
    """409: a precondition of the store does not hold."""
    text = f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0"
    full = f"{text}, AdditionalErrorMsg: Precondition failed: {why}"
    return conflict(scope.resource.plural, scope.resource.group, name, full)
