"""What the verbs need of kinds: decode, default, prepare, validate, convert; one seam in front of `knarr.api`."""

from __future__ import annotations

import orjson

from knarr.api.resources import Resource
from knarr.apimachinery.errors import bad_request
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.strategic import MergeSchema
from knarr.apimachinery.types import Object


def decode(resource: Resource, data: bytes) -> tuple[Object, tuple[str, ...]]:
    """A body as a canonical object of the resource's kind, and what strict decoding complains about."""
    try:
        found = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError as error:
        raise bad_request(str(error)) from error
    if not isinstance(found, dict):
        raise bad_request("not an object")
    return normalise(resource, found)


def normalise(resource: Resource, obj: Object) -> tuple[Object, tuple[str, ...]]:
    """An object that a patch made, as canonical as a decoded one."""
    obj["kind"], obj["apiVersion"] = resource.kind, resource.api_version
    obj.setdefault("metadata", {})
    return obj, ()


def default(resource: Resource, obj: Object) -> None:
    """Set what the object leaves open."""


def prepare_create(resource: Resource, obj: Object) -> None:
    """Make a new object what its strategy wants."""


def prepare_update(resource: Resource, obj: Object, old: Object, subresource: str = "") -> None:
    """Make a changed object what its strategy wants."""


def validate_create(resource: Resource, obj: Object) -> list[FieldError]:
    """What is wrong with a new object."""
    return []


def validate_update(resource: Resource, obj: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """What is wrong with a change."""
    return []


def warnings(resource: Resource, obj: Object, old: Object | None = None) -> list[str]:
    """What a client should be told."""
    return []


def merge_schema(resource: Resource) -> MergeSchema | None:
    """How strategic merge patches merge the kind."""
    return None


def convert(obj: Object, source: Resource, target: Resource) -> Object:
    """The object in another version."""
    return {**obj, "apiVersion": target.api_version}
