"""Keeps `metadata.managedFields` in the path of every write; decisions stand in `apimachinery.managed_fields`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias

from knarr.api import registry
from knarr.api.custom import objects
from knarr.api.resources import Resource
from knarr.api.strategy import rules
from knarr.apimachinery import apply, field_check, field_reconcile, field_sets, last_applied, managed_fields, timestamps
from knarr.apimachinery.apply import Conflicts
from knarr.apimachinery.errors import StatusError, bad_request, internal
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.field_sets import FieldSet
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.managed_fields import Entry, Versioned, Write
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.context import Apply
from knarr.component_base import logs
from knarr.component_base.clock import Clock

#: The kind of a scale's body.
SCALE = Resource("autoscaling", "v1", "scales", "Scale", namespaced=True)
#: Makes an object of one version one of another.
Convert: TypeAlias = Callable[[Object, Resource, Resource], Object]
_log = logs.get("apiserver")
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class FieldManagers:
    """Notes who owns what."""

    def __init__(self, clock: Clock, convert: Convert = kinds.convert) -> None:
        """`convert` makes objects those of another version; it may raise `Pending` where somebody must be asked."""
        self._clock = clock
        self._convert = convert

    def update(self, resource: Resource, obj: Object, old: Object | None, manager: str, subresource: str) -> None:
        """Note what `manager` changed, in place. `old` is None for a new object."""
        schema = kinds.ownership(resource)
        if schema is None:
            obj["metadata"].pop("managedFields", None)
            return
        now = timestamps.seconds(self._clock.now())
        write = Write(manager, resource.api_version, now, subresource, _unowned(resource, subresource))
        before = old if old is not None else _empty(resource)
        if resource.custom is not None and old is not None:
            before = _reconciled(resource, schema, old)
            if before is not old and obj["metadata"].get("managedFields") == old["metadata"]["managedFields"]:
                _set(obj, before["metadata"]["managedFields"])
        objects = Versioned(schema, before, _seen(resource, obj))

        def convert(api_version: str) -> Versioned | None:
            return _in_version(resource, api_version, (before, obj), self._convert)

        if subresource == "scale":
            _set(obj, managed_fields.update_scale(write, objects, _replicas(resource)))
            return
        try:
            _set(obj, managed_fields.update(write, objects, convert))
        except StatusError as error:
            # An update is not refused for that; who owns what is lost.
            _log.warning("managed fields cannot be converted", kind=resource.kind, error=error)
            _set(obj, [])

    def apply(self, resource: Resource, config: Object, old: Object | None, how: Apply) -> Object:
        """The canonical object that a server-side apply makes of `old`, managed fields set. Raises `StatusError`."""
        schema = _checked(resource, config)
        try:
            return self._applied(resource, schema, config, old, how)
        except ValueError as error:
            text = f"failed to create typed live object ({_shown(resource, old or {})}): {error}"
            raise StatusError(500, "", text) from error

    def _applied(
        self, resource: Resource, schema: FieldSchema, config: Object, old: Object | None, how: Apply
    ) -> Object:
        write = self._write(resource, how)
        if resource.custom is not None and old is not None:
            old = _reconciled(resource, schema, old)
        live = _without_entries(old if old is not None else _empty(resource))
        entries = managed_fields.trusted(old["metadata"].get("managedFields") if old is not None else None)
        if not entries:
            entries = self._before_first_apply(resource, schema, live, how)
        versions = _Versions(resource, self._convert)
        try:
            found = apply.apply(write, live, config, entries, versions, force=how.force)
        except Conflicts as conflicts:
            # kubectl goes on with what it applied itself before it knew server-side apply.
            if how.manager != last_applied.KUBECTL or not last_applied.allows(schema, live, conflicts.fields):
                raise conflicts.status_error() from conflicts
            found = apply.apply(write, live, config, entries, versions, force=True)
        obj = live if found.obj is None else _canonical(resource, found.obj)
        if how.manager == last_applied.KUBECTL:
            last_applied.refresh(obj, config)
        _set(obj, managed_fields.encoded(found.entries))
        return obj

    def apply_scale(self, resource: Resource, config: Object, old: Object, how: Apply) -> Object:
        """The workload `old` after an apply to its Scale. Raises `StatusError`."""
        _checked(SCALE, config)
        try:
            scale = kinds.scale_of(resource, old, missing=0)
        except ValueError as error:
            raise internal(str(error)) from error
        path = _replicas(resource)
        entries = managed_fields.trusted(old["metadata"].get("managedFields"))
        ours = managed_fields.scale_entries(entries, SCALE.api_version, path)
        try:
            found = apply.apply(
                self._write(SCALE, how), scale, config, ours, _Versions(SCALE, self._convert), force=how.force
            )
        except Conflicts as conflicts:
            raise conflicts.status_error() from conflicts
        obj = old if found.obj is None else kinds.set_scale(resource, old, _canonical(SCALE, found.obj))
        obj = _without_entries(obj)
        after = managed_fields.with_scale_entries(entries, found.entries, resource.api_version, path)
        _set(obj, managed_fields.encoded(after))
        return obj

    def _write(self, resource: Resource, how: Apply) -> Write:
        now = timestamps.seconds(self._clock.now())
        unowned = _unowned(resource, how.subresource)
        return Write(how.manager, resource.api_version, now, how.subresource, unowned)

    def _before_first_apply(self, resource: Resource, schema: FieldSchema, live: Object, how: Apply) -> list[Entry]:
        """Whose fields nobody has kept track of has an owner from now on: all of its fields have."""
        write = self._write(resource, replace(how, manager=managed_fields.BEFORE_FIRST_APPLY))
        found = managed_fields.changes(write, Versioned(schema, _empty(resource), live))
        return managed_fields.after_update(write, [], found, lambda _version: None)


@dataclass(frozen=True, slots=True)
class _Versions:
    """A kind's versions, for apply."""

    resource: Resource
    convert_to: Convert

    def schema(self, api_version: str) -> FieldSchema | None:
        """How the fields of that version are owned."""
        other = _other_version(self.resource, api_version)
        return None if other is None else kinds.ownership(other)

    def convert(self, obj: Object, api_version: str) -> Object:
        """The object in another version. Raises `StatusError`."""
        if obj["apiVersion"] == api_version:
            return obj
        source, target = _other_version(self.resource, obj["apiVersion"]), _other_version(self.resource, api_version)
        if source is None or target is None:
            raise LookupError(f"no version {api_version} of {self.resource.plural}")
        return self.convert_to(_canonical(source, obj), source, target)


def _checked(resource: Resource, config: Object) -> FieldSchema:
    """The schema that the configuration fits. Raises `StatusError` 400, 500."""
    group, version = parse_api_version(str(config.get("apiVersion") or ""))
    kind = config.get("kind") or ""
    if (group, version, kind) != (resource.group, resource.version, resource.kind):
        raise bad_request(f"invalid object type: {group}/{version}, Kind={kind}")
    schema = kinds.ownership(resource)
    if schema is None:
        raise LookupError(f"{resource.plural} have no schema")
    meta = config.get("metadata")
    named = meta if isinstance(meta, dict) else {}
    if named.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    fault = field_check.complaint(schema, config)
    if fault:
        raise StatusError(500, "", f"failed to create typed patch object ({_shown(resource, config)}): {fault}")
    return schema


def _shown(resource: Resource, obj: Object) -> str:
    """An object as errors name it: `ns/name; apps/v1, Kind=Deployment`."""
    meta = obj.get("metadata") if isinstance(obj.get("metadata"), dict) else None
    named: Object = meta or {}
    head = f"{named.get('namespace') or ''}/{named.get('name') or ''}"
    return f"{head}; {resource.group}/{resource.version}, Kind={resource.kind}"


def _canonical(resource: Resource, obj: Object) -> Object:
    """A merged object as canonical as a decoded one. Raises `StatusError` 500."""
    try:
        return kinds.normalise(resource, obj)[0]
    except kinds.DecodeError as error:
        raise StatusError(500, "", error.cause) from error


def _reconciled(resource: Resource, schema: FieldSchema, obj: Object) -> Object:
    """A stored object with its fields owned as today's schema has them: those of a definition may change."""
    given = obj["metadata"].get("managedFields") or ()
    fitting = []
    for entry in given:
        same = entry["apiVersion"] == resource.api_version
        try:
            fields = field_reconcile.reconciled(entry["fieldsV1"], schema, obj) if same else entry["fieldsV1"]
        except ValueError:
            # Items without their keys are told apart by nothing: the write itself deals with them.
            return obj
        fitting.append(entry if fields is entry["fieldsV1"] else {**entry, "fieldsV1": fields})
    if all(new is entry for new, entry in zip(fitting, given, strict=True)):
        return obj
    return {**obj, "metadata": {**obj["metadata"], "managedFields": fitting}}


def _without_entries(obj: Object) -> Object:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def _set(obj: Object, entries: list[Object]) -> None:
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


def _replicas(resource: Resource) -> tuple[str, ...]:
    return tuple(f"f:{name}" for name in kinds.replicas_path(resource))


def _other_version(resource: Resource, api_version: str) -> Resource | None:
    """The resource in another version of the same stored kind."""
    if api_version == resource.api_version:
        return resource
    if resource.custom is not None:
        group, version = parse_api_version(api_version)
        return resource.custom.definition.versions.get(version) if group == resource.group else None
    other = registry.by_kind(*parse_api_version(api_version), resource.kind)
    return other if other is not None and other.storage_group == resource.storage_group else None


def _in_version(
    resource: Resource, api_version: str, objects_: tuple[Object, Object], convert: Convert
) -> Versioned | None:
    """A write's objects (old, new) in another version of the kind, `None` when there is no such version."""
    other = _other_version(resource, api_version)
    schema = None if other is None else kinds.ownership(other)
    if other is None or schema is None:
        return None
    old, new = objects_
    return Versioned(schema, convert(old, resource, other), convert(new, resource, other))


def _seen(resource: Resource, obj: Object) -> Object:
    """The object as the internal version knows it: a DaemonSet's generation of the template is always told."""
    if (resource.plural, resource.group) != ("daemonsets", "apps"):
        return obj
    meta = obj["metadata"]
    annotations = meta.get("annotations") or {}
    if _TEMPLATE_GENERATION not in annotations:
        meta = {**meta, "annotations": {**annotations, _TEMPLATE_GENERATION: "0"}}
    return {**obj, "metadata": meta}


def _unowned(resource: Resource, subresource: str) -> FieldSet:
    if resource.custom is not None:
        return objects.unowned(resource, subresource)
    return _unowned_of_kind(resource, subresource)


@cache
def _unowned_of_kind(resource: Resource, subresource: str) -> FieldSet:
    paths = rules.of(resource).reset_fields(subresource)
    return field_sets.of_paths([f"f:{part}" for part in path] for path in paths)


def _empty(resource: Resource) -> Object:
    """What a new object of the kind is compared with: one of which nothing is set. Read-only."""
    if resource.custom is not None:
        # Defaults are not set: who makes an object owns those it gets.
        return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    return _empty_of_kind(resource)


@cache
def _empty_of_kind(resource: Resource) -> Object:
    return kinds.normalise(resource, {"metadata": {}})[0]
