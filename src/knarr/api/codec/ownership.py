"""What managed fields must know of a kind: `apimachinery.field_schema.FieldSchema` from the tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache, partial

from knarr.api.codec.types import FieldInfo, Shape, TypeInfo, named, of_kind
from knarr.apimachinery.field_schema import KEYED, LEAF, MAP, SCALAR, SET, STRUCT, FieldSchema

#: What the server itself writes into metadata, and what names the object: nobody owns it.
_UNOWNED = frozenset(
    {"name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields"}
    | {"resourceVersion"}
)
_HEAD = frozenset({"kind", "apiVersion"})
_METADATA = "meta.v1.ObjectMeta"
#: What a shape's JSON must be, of those that are scalars.
_SCALARS = {
    "string": "string",
    "boolean": "boolean",
    "int32": "numeric",
    "int64": "numeric",
    "double": "numeric",
    "bytes": "string",
    "quantity": "scalar",
    "int_or_string": "scalar",
    "time": "scalar",
    "micro_time": "scalar",
}


@lru_cache(2048)
def ownership(api_version: str, kind: str) -> FieldSchema | None:
    """How the fields of a built-in kind's objects are owned, `None` for other kinds."""
    info = of_kind(api_version, kind)
    return (
        None
        if info is None
        else FieldSchema(STRUCT, make_fields=partial(_kind_fields, info.name), hidden=_HEAD, shape="map")
    )


def _kind_fields(name: str) -> Mapping[str, FieldSchema]:
    fields = dict(_fields(name))
    if "metadata" in fields and named(name).fields["metadata"].shape.struct == _METADATA:
        fields["metadata"] = metadata()
    return fields


@cache
def metadata() -> FieldSchema:
    """How the metadata of an object is owned."""
    return FieldSchema(STRUCT, make_fields=partial(_fields, _METADATA), hidden=_UNOWNED, shape="map")


@cache
def _struct(name: str) -> FieldSchema:
    info = named(name)
    kind = LEAF if info.atomic else STRUCT
    return FieldSchema(kind, make_fields=partial(_fields, name), shape="map")


def _fields(name: str) -> Mapping[str, FieldSchema]:
    return {field.name: _field(field) for field in named(name).fields.values()}


def _field(field: FieldInfo) -> FieldSchema:
    shape = field.shape
    if shape.kind == "list":
        return _list(field, shape)
    found = _of(shape)
    if field.map_type == "granular" and shape.kind == "struct":
        # The field says otherwise than its type.
        return FieldSchema(STRUCT, make_fields=found.make_fields, shape=found.shape)
    if field.map_type != "atomic" or found.kind == LEAF:
        return found
    return FieldSchema(LEAF, found.item, make_fields=found.make_fields, shape=found.shape)


def _list(field: FieldInfo, shape: Shape) -> FieldSchema:
    item = _of(shape.item)
    relation, keys = field.list_type, field.keys
    if not relation and "merge" in field.patch_strategy.split(","):
        relation, keys = ("map", (field.merge_key,)) if field.merge_key else ("set", ())
    if relation == "set":
        return FieldSchema(SET, item, shape="list")
    if relation != "map" or shape.item is None or shape.item.kind != "struct":
        return FieldSchema(LEAF, item, shape="list")
    return FieldSchema(KEYED, item, keys, _defaults(shape.item.info, keys), shape="list")


def _defaults(info: TypeInfo, keys: tuple[str, ...]) -> Mapping[str, object]:
    found = {key: info.fields[key].default for key in keys if key in info.fields}
    return {key: value for key, value in found.items() if value is not ...}


def _of(shape: Shape | None) -> FieldSchema:
    if shape is None:
        return SCALAR
    if shape.kind == "struct":
        return _struct(shape.struct)
    if shape.kind == "map":
        return FieldSchema(MAP, _of(shape.item), shape="map")
    if shape.kind == "list":
        return FieldSchema(LEAF, _of(shape.item), shape="list")
    if shape.kind == "raw" and shape.go != "v1.JSON":
        return _OBJECT
    return _SCALAR_SCHEMAS.get(_SCALARS.get(shape.kind, ""), SCALAR)


_OBJECT = FieldSchema(LEAF, shape="map")
_SCALAR_SCHEMAS = {name: FieldSchema(LEAF, shape=name) for name in ("string", "boolean", "numeric", "scalar")}
