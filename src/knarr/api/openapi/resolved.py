"""Schemas of kinds in one piece: every reference replaced by what it refers to.

A type within itself is an object of which nothing is known. Source: k8s.io/apiserver/pkg/cel/openapi/resolver/refs.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from knarr.api.openapi import schemas
from knarr.apimachinery.gvk import GroupVersionKind
from knarr.apimachinery.types import Object

_REF = "#/components/schemas/"
_GVK = "x-kubernetes-group-version-kind"
#: Gives what a reference refers to.
Find = Callable[[str], Object]


@lru_cache(maxsize=64)
def of_kind(group: str, version: str, kind: str) -> Object | None:
    """The schema of a kind's objects, None for one that is not built in. Read-only."""
    name = schemas.type_named(group, version, kind)
    return None if name is None else _resolved({"$ref": name}, _built_in, frozenset())


def in_document(document: Object, kind: GroupVersionKind) -> Object | None:
    """The schema of a kind's objects in an OpenAPI v3 document, None where it has none."""
    known: Mapping[str, Object] = (document.get("components") or {}).get("schemas") or {}
    for schema in known.values():
        if kind._asdict() in (schema.get(_GVK) or ()):
            return _resolved(schema, lambda reference: known[reference.removeprefix(_REF)], frozenset())
    return None


def _built_in(reference: str) -> Object:
    return schemas.schema(schemas.short_name(reference) if reference.startswith("#") else reference, ())


def _resolved(schema: Mapping[str, Any], find: Find, above: frozenset[str]) -> Object:
    reference = schema.get("$ref") or next((item.get("$ref") for item in schema.get("allOf") or ()), None)
    if reference in above:
        return {"type": "object"}
    if reference:
        return _resolved(find(reference), find, above | {reference})
    out = dict(schema)
    if out.get("format") == "int-or-string":
        # As custom resources say it.
        out["x-kubernetes-int-or-string"] = True
    if "properties" in out:
        out["properties"] = {key: _resolved(item, find, above) for key, item in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(out.get(key), dict):
            out[key] = _resolved(out[key], find, above)
    return out
