"""What the verbs need of kinds: decode, default, prepare, validate, convert; one seam in front of `knarr.api`."""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api import codec, conversion, defaults, strategy, validation
from knarr.api.codec import DecodeError
from knarr.api.custom import objects, scale
from knarr.api.resources import Resource
from knarr.api.semantics import go_json
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.strategic import MergeSchema
from knarr.apimachinery.types import Object

__all__ = [
    "DecodeError",
    "convert",
    "decode",
    "default",
    "default_status",
    "merge_schema",
    "normalise",
    "normalise_status",
    "ownership",
    "prepare_create",
    "prepare_update",
    "refill",
    "replicas_path",
    "restore",
    "restored",
    "scale_of",
    "set_scale",
    "shown_patched",
    "strip",
    "validate_create",
    "validate_update",
    "warnings",
]


def decode(resource: Resource, data: bytes, *, yaml: bool = False) -> tuple[Object, tuple[str, ...]]:
    """A body as a canonical object of the resource's kind, and what strict decoding complains about.

    Raises `DecodeError` (400).
    """
    if resource.custom is not None:
        return objects.decode(resource, data, yaml=yaml)
    return codec.decode(resource.api_version, resource.kind, data, yaml=yaml)


def normalise(resource: Resource, obj: Object) -> tuple[Object, tuple[str, ...]]:
    """An object that a patch made, as canonical as a decoded one. Raises `DecodeError` (400)."""
    if resource.custom is not None:
        return objects.normalise(resource, obj)
    return codec.normalise(resource.api_version, resource.kind, obj)


def normalise_status(resource: Resource, obj: Object, old: Object) -> tuple[Object, tuple[str, ...]]:
    """As `normalise`, of an object of which only the status counts; it may share the rest with the old one."""
    if resource.custom is not None:
        return objects.normalise(resource, obj)
    found = codec.normalise_part(resource.api_version, resource.kind, obj, old)
    return normalise(resource, obj) if found is None else found


def restore(resource: Resource, obj: Any) -> Object:
    """What a strategic merge patch made, ready for `normalise`. Raises `DecodeError` (400)."""
    return codec.restore(resource.api_version, resource.kind, obj)


def shown_patched(resource: Resource, new: Any, old: Object, *, merged: bool) -> str:
    """What another patch made of an object, as messages quote it; `merged`: a merge patch made it."""
    if resource.custom is not None:
        return objects.shown(new)
    info = codec.type_of(resource.api_version, resource.kind)
    if info is None or not isinstance(new, dict):
        return orjson.dumps(new).decode()
    return go_json.patched(info, new, old, merged=merged)


def refill(resource: Resource, obj: Object, body: Any) -> bool:
    """Put the empty lists and maps of a body back into its object, in place; whether there were any."""
    return codec.refill(resource.api_version, resource.kind, obj, body)


def strip(resource: Resource, obj: Object, *, nulls: bool = True) -> None:
    """Take empty lists and maps out of an object, in place; `nulls`: also those that are written as null."""
    codec.strip(resource.api_version, resource.kind, obj, nulls=nulls)


def default(resource: Resource, obj: Object) -> None:
    """Set what the object leaves open, in place."""
    if resource.custom is not None:
        objects.default(resource, obj)
        return
    defaults.apply(resource, obj)


def default_status(resource: Resource, obj: Object) -> None:
    """Set what the object leaves open in its status, in place: the rest is as it was stored."""
    if resource.custom is not None:
        objects.default(resource, obj)
        return
    defaults.apply_status(resource, obj)


def prepare_create(resource: Resource, obj: Object) -> None:
    """Make a new object what its strategy wants, in place."""
    if resource.custom is not None:
        objects.prepare_create(resource, obj)
        return
    strategy.prepare_create(resource, obj)


def prepare_update(resource: Resource, obj: Object, old: Object, subresource: str, now: str) -> None:
    """Make a changed object what its strategy wants, in place. `now` is in RFC 3339."""
    if resource.custom is not None:
        objects.prepare_update(resource, obj, old, subresource)
        return
    strategy.prepare_update(resource, obj, old, subresource, now)


def validate_create(resource: Resource, obj: Object) -> list[FieldError]:
    """What is wrong with a new object."""
    if resource.custom is not None:
        return objects.validate_create(resource, obj)
    return validation.validate_create(resource, obj)


def validate_update(resource: Resource, obj: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """What is wrong with a change."""
    if resource.custom is not None:
        return objects.validate_update(resource, obj, old, subresource)
    return validation.validate_update(resource, obj, old, subresource)


def warnings(resource: Resource, obj: Object, old: Object | None = None) -> list[str]:
    """What a client should be told."""
    return validation.warnings(resource, obj, old)


def merge_schema(resource: Resource) -> MergeSchema | None:
    """How strategic merge patches merge the kind."""
    return codec.merge_schema(resource.api_version, resource.kind)


def ownership(resource: Resource) -> FieldSchema | None:
    """How the fields of the kind are owned, `None` for kinds without a table."""
    if resource.custom is not None:
        return objects.ownership(resource)
    return codec.ownership(resource.api_version, resource.kind)


def convert(obj: Object, source: Resource, target: Resource) -> Object:
    """The object in another version; may share its parts with `obj`."""
    if target.custom is not None:
        return objects.convert(obj, target)
    return conversion.convert(obj, source, target)


def restored(obj: Object, target: Resource) -> Object:
    """A custom resource as a version shows what was stored, maybe under another version or an older schema."""
    return objects.restored(obj, target)


def scale_of(resource: Resource, obj: Object, missing: int | None = None) -> Object:
    """The Scale of an object, with `missing` replicas where a custom resource has none. Raises `ValueError`."""
    paths = resource.custom.scale if resource.custom is not None else None
    return conversion.scale_of(obj) if paths is None else scale.scale_of(paths, obj, missing)


def set_scale(resource: Resource, obj: Object, wanted: Object) -> Object:
    """The object with the replicas of a Scale. Raises `ValueError` where there is no place for them."""
    paths = resource.custom.scale if resource.custom is not None else None
    return conversion.set_scale(obj, wanted) if paths is None else scale.set_scale(paths, obj, wanted)


def replicas_path(resource: Resource) -> tuple[str, ...]:
    """Where the replicas that a Scale asks for stand."""
    paths = resource.custom.scale if resource.custom is not None else None
    return ("spec", "replicas") if paths is None else scale.replicas_path(paths)
