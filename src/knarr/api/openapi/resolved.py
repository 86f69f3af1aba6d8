"""Schemas of built-in kinds in one piece: every reference replaced by what it refers to.

A type within itself is an object of which nothing is known. Source: k8s.io/apiserver/pkg/cel/openapi/resolver/refs.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from knarr.api.openapi import schemas
from knarr.apimachinery.types import Object

_METADATA = "meta.v1.ObjectMeta"


@lru_cache(maxsize=64)
def of_kind(group: str, version: str, kind: str) -> Object | None:
    """The schema of a kind's objects, None for one that is not built in. Read-only."""
    name = schemas.type_named(group, version, kind)
    return None if name is None else _type(name, frozenset())


@lru_cache(maxsize=1)
def metadata() -> Object:
    """The schema of the metadata of every object. Read-only."""
    return _type(_METADATA, frozenset())


def _type(name: str, above: frozenset[str]) -> Object:
    if name in above:
        return {"type": "object"}
    return _resolved(schemas.schema(name, ()), above | {name})


def _resolved(schema: Mapping[str, Any], above: frozenset[str]) -> Object:
    reference = schema.get("$ref") or next((item.get("$ref") for item in schema.get("allOf") or ()), None)
    if reference:
        return _type(schemas.short_name(reference), above)
    out = dict(schema)
    if out.get("format") == "int-or-string":
        # As custom resources say it.
        out["x-kubernetes-int-or-string"] = True
    if "properties" in out:
        out["properties"] = {key: _resolved(item, above) for key, item in out["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(out.get(key), dict):
            out[key] = _resolved(out[key], above)
    return out
