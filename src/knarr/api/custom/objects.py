"""Custom resources where built-in kinds have tables and modules of their own: decode, prepare, validate, convert.

Objects stay as they are written, apart from their metadata and from what the schema of their version prunes and sets.
Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource (strategy.go, status_strategy.go, validator.go).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from knarr.api import codec
from knarr.api.codec import custom as custom_codec
from knarr.api.custom import scale
from knarr.api.resources import CustomVersion, Resource
from knarr.api.structural import Effort, FieldFault, Schema
from knarr.api.validation import meta, names
from knarr.api.validation.checks import Errors
from knarr.apimachinery import field, field_sets
from knarr.apimachinery.errors import bad_request
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.field_schema import FieldSchema
from knarr.apimachinery.field_sets import FieldSet
from knarr.apimachinery.types import Object

#: Compiled schemas that are kept.
_KEPT = 256


_STATUS = field_sets.of_paths([("f:status",)])
_NOT_STATUS = field_sets.of_paths([("f:metadata",), ("f:spec",)])


def version_of(resource: Resource) -> CustomVersion:
    """What the definition says. Raises `LookupError` for a built-in resource."""
    if resource.custom is None:
        raise LookupError(f"{resource.plural} are no custom resources")
    return resource.custom


@lru_cache(maxsize=_KEPT)
def _compiled(version: CustomVersion) -> Schema:
    return Schema.compile(version.schema())


def schema_of(resource: Resource) -> Schema:
    """The structural schema of a version."""
    return _compiled(version_of(resource))


def decode(resource: Resource, data: bytes, *, yaml: bool = False) -> tuple[Object, tuple[str, ...]]:
    """A body as an object of the kind, and what strict decoding complains about. Raises `DecodeError` (400)."""
    found = codec.decode_custom(resource.api_version, resource.kind, data, yaml=yaml)
    _check_version(resource, found.object)
    if found.object["kind"] != resource.kind:
        # Whatever it is: it is judged as it came.
        return found.object, found.problems
    obj, unknown = _accepted(resource, found.object)
    return obj, (*found.problems, *unknown)


def normalise(resource: Resource, obj: Any) -> tuple[Object, tuple[str, ...]]:
    """The same of what a patch made. Raises `DecodeError` (400)."""
    try:
        out, problems = custom_codec.read(obj)
    except (ValueError, TypeError, AttributeError) as error:
        raise codec.DecodeError(str(error), str(error)) from error
    obj, unknown = _accepted(resource, out)
    return obj, (*problems, *unknown)


def _accepted(resource: Resource, obj: Object) -> tuple[Object, list[str]]:
    """An object as its schema has it, and complaints about what the schema does not know."""
    try:
        found, unknown = schema_of(resource).accept(obj)
    except FieldFault as fault:
        raise codec.refused(resource.api_version, resource.kind, str(fault.error)) from fault
    return found, [f'unknown field "{path}"' for path in unknown]


def restored(obj: Object, target: Resource) -> Object:
    """What was stored, as a version shows it."""
    return schema_of(target).restore({**obj, "apiVersion": target.api_version})


def default(resource: Resource, obj: Object) -> None:
    """Nothing is left to set: that belongs to decoding, with which it is done here."""


def prepare_create(resource: Resource, obj: Object) -> None:
    """A new object has generation 1, and no status where that is the server's."""
    if version_of(resource).has_status:
        obj.pop("status", None)
    obj["metadata"]["generation"] = 1


def prepare_update(resource: Resource, obj: Object, old: Object, subresource: str) -> None:
    """Take back what cannot be changed this way; every other change but that of the metadata counts."""
    if subresource == "status":
        _keep_all_but_status(obj, old)
        return
    if version_of(resource).has_status:
        _take(obj, old, "status")
    generation = old["metadata"].get("generation", 0)
    if any(obj.get(name) != old.get(name) for name in {*obj, *old} - {"metadata"}):
        generation += 1
    obj["metadata"]["generation"] = generation


def validate_create(resource: Resource, obj: Object, effort: Effort | None = None) -> list[FieldError]:
    """What is wrong with a new object. Raises `TooDearError` where that takes more than a quick effort."""
    wrong = _type_errors(resource, obj)
    if wrong:
        return wrong
    errors: Errors = []
    meta.check_create(
        errors,
        obj["metadata"],
        namespaced=resource.namespaced,
        name=names.dns_subdomain,
        standard_finalizers=False,
    )
    numbers = scale.errors(version_of(resource).scale, obj)
    return schema_of(resource).validate(obj, head=errors, scale=numbers, effort=effort)


def validate_update(
    resource: Resource, obj: Object, old: Object, subresource: str, effort: Effort | None = None
) -> list[FieldError]:
    """What is wrong with a change. Raises `TooDearError` where that takes more than a quick effort."""
    wrong = _type_errors(resource, obj)
    if wrong:
        return wrong
    errors: Errors = []
    # Every update checks this, and those of custom resources do so again.
    meta.check_change(errors, obj["metadata"], old["metadata"])
    meta.check_update(errors, obj["metadata"], old["metadata"], standard_finalizers=False)
    status = subresource == "status"
    numbers = scale.errors(version_of(resource).scale, obj, status_only=status)
    schema = schema_of(resource)
    check = schema.validate_status if status else schema.validate
    return check(obj, old, head=errors, scale=numbers, effort=effort)


def ownership(resource: Resource) -> FieldSchema:
    """How the fields of the kind are owned."""
    return schema_of(resource).ownership


def unowned(resource: Resource, subresource: str) -> FieldSet:
    """The fields that nobody can set through a (sub)resource."""
    if subresource == "status":
        return _NOT_STATUS
    return _STATUS if version_of(resource).has_status else {}


def convert(obj: Object, target: Resource) -> Object:
    """The object in another version, where no webhook converts: only its `apiVersion` differs."""
    return {**obj, "apiVersion": target.api_version}


def shown(obj: Any) -> str:
    """An object as messages quote it."""
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS).decode()


def _check_version(resource: Resource, obj: Object) -> None:
    given = obj.get("apiVersion")
    if given != resource.api_version:
        text = f"the API version in the data ({given}) does not match the expected API version"
        raise bad_request(f"{text} ({resource.api_version})")


def _type_errors(resource: Resource, obj: Object) -> list[FieldError]:
    """Objects of other kinds are seen here only, for any JSON can be decoded."""
    errors = []
    if obj.get("kind") != resource.kind:
        errors.append(field.invalid("kind", obj.get("kind"), f"must be {resource.kind}"))
    if obj.get("apiVersion") != resource.api_version:
        errors.append(field.invalid("apiVersion", obj.get("apiVersion"), f"must be {resource.api_version}"))
    return errors


def _keep_all_but_status(obj: Object, old: Object) -> None:
    managed = obj["metadata"].get("managedFields")
    for name in {*obj, *old} - {"status", "metadata"}:
        _take(obj, old, name)
    metadata: Object = dict(old["metadata"])
    metadata.pop("managedFields", None)
    if managed is not None:
        metadata["managedFields"] = managed
    obj["metadata"].clear()
    obj["metadata"].update(metadata)


def _take(obj: Object, old: Object, name: str) -> None:
    if name in old:
        obj[name] = old[name]
    else:
        obj.pop(name, None)
