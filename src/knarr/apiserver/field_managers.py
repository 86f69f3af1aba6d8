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


_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class FieldManagers:
    """Notes who owns what."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def update(self, resource: Resource, obj: Object, old: Object | None, manager: str, subresource: str) -> None:
        """Note what `manager` changed, in place. `old` is None for a new object."""
        schema = kinds.ownership(resource)
        if schema is None:
            obj["metadata"].pop("managedFields", None)
            return
        now = timestamps.seconds(self._clock.now())
        write = Write(manager, resource.api_version, now, subresource, _unowned(resource, subresource))
        before = old if old is not None else _empty(resource)
        objects = Versioned(schema, before, _seen(resource, obj))

        def convert(api_version: str) -> Versioned | None:
            return _in_version(resource, api_version, before, obj)

        if subresource == "scale":
            entries = managed_fields.update_scale(write, objects)
        else:
            entries = managed_fields.update(write, objects, convert)
        if entries:
            obj["metadata"]["managedFields"] = entries
        else:
            obj["metadata"].pop("managedFields", None)

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


def _seen(resource: Resource, obj: Object) -> Object:
    """The object as the internal version knows it: a DaemonSet's generation of the template is always told."""
    if (resource.plural, resource.group) != ("daemonsets", "apps"):
        return obj
    meta = obj["metadata"]
    annotations = meta.get("annotations") or {}
    if _TEMPLATE_GENERATION not in annotations:
        meta = {**meta, "annotations": {**annotations, _TEMPLATE_GENERATION: "0"}}
    return {**obj, "metadata": meta}


@cache
def _unowned(resource: Resource, subresource: str) -> FieldSet:
    paths = rules.of(resource).reset_fields(subresource)
    return field_sets.of_paths([f"f:{part}" for part in path] for path in paths)


@cache
def _empty(resource: Resource) -> Object:
    """What a new object of the kind is compared with: one of which nothing is set. Read-only."""
    return kinds.normalise(resource, {"metadata": {}})[0]
