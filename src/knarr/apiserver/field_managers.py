"""Keeps `metadata.managedFields` in the path of every write; what it decides stands in `apimachinery.managed_fields`."""

from __future__ import annotations

from functools import cache

from knarr.api import registry
from knarr.api.resources import Resource
from knarr.api.strategy import rules
from knarr.apimachinery import field_sets, managed_fields, timestamps
from knarr.apimachinery.field_sets import FieldSet
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.managed_fields import Versioned, Write
from knarr.apimachinery.types import Object
from knarr.apiserver import kinds
from knarr.apiserver.request import Request
from knarr.apiserver.served import Scope
from knarr.component_base.clock import Clock


class FieldManagers:
    """Notes who owns what."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def update(self, scope: Scope, obj: Object, old: Object | None, manager: str, subresource: str) -> None:
        """Note what `manager` changed, in place."""
        resource = scope.resource
        schema = kinds.ownership(resource)
        if schema is None:
            obj["metadata"].pop("managedFields", None)
            return
        now = timestamps.seconds(self._clock.now())
        write = Write(manager, resource.api_version, now, subresource, _unowned(resource, subresource))
        before = old if old is not None else _empty(resource)

        def convert(api_version: str) -> Versioned | None:
            return _in_version(resource, api_version, before, obj)

        managed_fields.update(write, Versioned(schema, before, obj), convert)

    def apply(self, scope: Scope, request: Request, old: Object | None, subresource: str) -> Object:
        """The object that a server-side apply makes of `old`. Raises `StatusError`."""
        raise NotImplementedError


def _in_version(resource: Resource, api_version: str, old: Object, new: Object) -> Versioned | None:
    """A write's objects in another version of the kind, `None` when there is no such version."""
    other = registry.by_kind(*parse_api_version(api_version), resource.kind)
    if other is None or other.storage_group != resource.storage_group:
        return None
    schema = kinds.ownership(other)
    if schema is None:
        return None
    return Versioned(schema, kinds.convert(old, resource, other), kinds.convert(new, resource, other))


@cache
def _unowned(resource: Resource, subresource: str) -> FieldSet:
    paths = rules.of(resource).reset_fields(subresource)
    return field_sets.of_paths([f"f:{part}" for part in path] for path in paths)


@cache
def _empty(resource: Resource) -> Object:
    """What a new object of the kind is compared with: one of which nothing is set. Read-only."""
    return kinds.normalise(resource, {"metadata": {}})[0]
