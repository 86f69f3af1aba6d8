"""Values of declared types: what JSON means by the schema of a field, and the types schemas declare.

A rule about a `date-time` sees a timestamp, one about a `number` a double; lists that are
sets or have keys are equal in any order. Source: https://pkg.go.dev/k8s.io/apiserver/pkg/cel/common.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from knarr.api.cel import times, types
from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.shapes import element, escaped
from knarr.api.cel.types import Field, Type
from knarr.api.cel.values import MapList, Optional, SetList
from knarr.api.cel.work import spend
from knarr.apimachinery.types import Object

Convert = Callable[[Any], Any]
_STRINGS = {"byte": types.BYTES, "date": types.TIMESTAMP, "date-time": types.TIMESTAMP, "duration": types.DURATION}
_SCALARS = {"boolean": types.BOOL, "number": types.DOUBLE, "integer": types.INT}
_TEXT: Object = {"type": "string"}
_ROOT: Object = {
    "apiVersion": _TEXT,
    "kind": _TEXT,
    "metadata": {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}},
}


def declared_type(shape: Object | None, name: str, *, root: bool = False) -> Type | None:
    """The type of values of a JSON schema; None for what expressions cannot see.

    `root`: that of a whole object, with its name.
    """
    if shape is None:
        return None
    if shape.get("x-kubernetes-int-or-string"):
        return Type("dyn", shape=shape)
    kind = shape.get("type", "")
    if kind == "array":
        item = declared_type(shape.get("items"), f"{name}.@idx", root=_embedded(shape.get("items")))
        return None if item is None else Type("list", params=(item,), shape=shape)
    if kind == "object" or root:
        return _object(shape, name, root=root)
    if kind == "string":
        known = _STRINGS.get(shape.get("format", ""), types.STRING)
        return Type(known.kind, shape=shape)
    scalar = _SCALARS.get(kind)
    return None if scalar is None else Type(scalar.kind, shape=shape)


def _embedded(shape: Any) -> bool:
    return isinstance(shape, dict) and bool(shape.get("x-kubernetes-embedded-resource"))


def _object(shape: Object, name: str, *, root: bool) -> Type | None:
    extra = shape.get("additionalProperties")
    if isinstance(extra, dict):
        value = declared_type(extra, f"{name}.@elem", root=_embedded(extra))
        return None if value is None else Type("map", params=(types.STRING, value), shape=shape)
    properties = shape.get("properties") or {}
    if root and not _complete(properties):
        # Kubernetes puts its own in place of what the schema says of metadata.
        properties = {**properties, **_ROOT}
        shape = {**shape, "type": "object", "properties": properties}
    fields: dict[str, Field] = {}
    for key, inner in properties.items():
        found = declared_type(inner, f"{name}.{escaped(key)}", root=_embedded(inner))
        if found is not None:
            fields[escaped(key)] = Field(found, key)
    return Type("object", name, find=fields.get, shape=shape)


def _complete(properties: Object) -> bool:
    """Whether a schema already says of all that every object has what it is."""
    metadata = properties.get("metadata") or {}
    named = metadata.get("properties") or {}
    texts = (properties.get("kind"), properties.get("apiVersion"), named.get("name"), named.get("generateName"))
    return metadata.get("type") == "object" and all(found and found.get("type") == "string" for found in texts)


def converter(kind: Type) -> Convert | None:
    """What makes of JSON a value of a declared type; None where JSON's own value is it."""
    if types.is_optional(kind):
        inner = converter(kind.params[0])
        if inner is None:
            return None
        return lambda found: Optional(inner(found.value)) if type(found) is Optional and found.present else found
    if kind.kind == "list" and kind.shape is None:
        return _each(converter(kind.params[0]))
    if kind.kind == "map" and kind.shape is None:
        return _entries(converter(kind.params[1]))
    return None if kind.shape is None else _of_shape(kind.shape)


def _of_shape(shape: Object | None) -> Convert | None:
    if shape is None or shape.get("x-kubernetes-int-or-string"):
        return None
    kind = shape.get("type", "")
    if kind == "array":
        return _list(shape)
    if kind == "object":
        inner = element(shape)
        return _fields(shape) if inner is None else _entries(_of_shape(inner))
    if kind == "number":
        return _double
    return _TEXTS.get(shape.get("format", "")) if kind == "string" else None


def _list(shape: Object) -> Convert | None:
    items, listed = _each(_of_shape(shape.get("items"))), shape.get("x-kubernetes-list-type")
    if listed == "set":
        return lambda found: found if type(found) is not list else SetList(items(found) if items else found)
    if listed == "map":
        keys = tuple(shape.get("x-kubernetes-list-map-keys") or ())
        return lambda found: found if type(found) is not list else MapList(items(found) if items else found, keys)
    return items


def _each(item: Convert | None) -> Convert | None:
    if item is None:
        return None

    def each(found: Any) -> Any:
        if type(found) is not list:
            return found
        spend(len(found))
        return [item(value) for value in found]

    return each


def _entries(value: Convert | None) -> Convert | None:
    if value is None:
        return None

    def entries(found: Any) -> Any:
        if type(found) is not dict:
            return found
        spend(len(found))
        return {key: value(entry) for key, entry in found.items()}

    return entries


def _fields(shape: Object) -> Convert | None:
    made = {key: _of_shape(inner) for key, inner in (shape.get("properties") or {}).items()}
    special = {key: convert for key, convert in made.items() if convert is not None}
    if not special:
        return None

    def fields(found: Any) -> Any:
        if type(found) is not dict:
            return found
        spend(len(found))
        return found | {key: convert(found[key]) for key, convert in special.items() if key in found}

    return fields


def _double(found: Any) -> Any:
    return float(found) if type(found) is int else found


def _bytes(found: Any) -> Any:
    if type(found) is not str:
        return found
    try:
        return base64.b64decode(found, validate=True)
    except binascii.Error as error:
        raise EvaluationError(f"Invalid byte formatted string {found}: {error}") from error


def _read(read: Callable[[str], Any], name: str) -> Convert:
    def made(found: Any) -> Any:
        if type(found) is not str:
            return found
        value = read(found)
        if value is None:
            raise EvaluationError(f"Invalid {name} {found}")
        return value

    return made


_TEXTS: dict[str, Convert] = {
    "byte": _bytes,
    "date": _read(times.read_date, "date formatted string"),
    "date-time": _read(times.read_date_time, "date-time formatted string"),
    "duration": _read(times.read_long_duration, "duration"),
}
