"""Printer columns: the Table of custom resources.

Input: a version's `additionalPrinterColumns`, objects, the time. Output: column definitions and cells.
Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from knarr.api.custom import jsonpath
from knarr.api.printers import table, text
from knarr.api.resources import Resource
from knarr.apimachinery import timestamps
from knarr.apimachinery.types import Object

_CREATED = ".metadata.creationTimestamp"


def columns(resource: Resource) -> list[Object]:
    """The `columnDefinitions`. Read-only."""
    name, created = table.columns(Resource("", "", "", "", namespaced=True))
    listed = _listed(resource)
    if not listed:
        return [name, {**created, "name": "Age", "type": "date"}]
    return [name, *(_definition(column) for column in listed)]


def cells(resource: Resource, obj: Object, now: datetime) -> list[Any]:
    """The cells of one object, in the order of the columns."""
    listed = _listed(resource) or ({"jsonPath": _CREATED, "type": "date"},)
    return [obj["metadata"].get("name", ""), *(_cell(column, obj, now) for column in listed)]


def _listed(resource: Resource) -> tuple[Mapping[str, Any], ...]:
    """The columns up to the first one whose path is none."""
    listed = resource.custom.columns if resource.custom is not None else ()
    for at, column in enumerate(listed):
        try:
            jsonpath.parse(column.get("jsonPath", ""))
        except ValueError:
            return listed[:at]
    return listed


def _definition(column: Mapping[str, Any]) -> Object:
    path = column.get("jsonPath", "")
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": column.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        "priority": column.get("priority", 0),
    }


def _cell(column: Mapping[str, Any], obj: Object, now: datetime) -> Any:
    try:
        found = jsonpath.find(column["jsonPath"], obj)
    except ValueError:
        return None
    if not found:
        return None
    return _shown(column["type"], found[0], now)


def _shown(kind: str, value: Any, now: datetime) -> Any:
    if kind == "string":
        return _text(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind in ("integer", "number"):
        number = type(value) in (int, float)
        return (int(value) if kind == "integer" else value) if number else None
    if kind == "date" and isinstance(value, str):
        return _since(value, now)
    return None


def _text(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    # Maps and lists are shown as JSON; Go writes the keys in order.
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _since(value: str, now: datetime) -> str:
    if not value or value == "null":
        return "<unknown>"
    try:
        then = timestamps.parse(value)
    except ValueError:
        return "<invalid>"
    return text.duration((now - then).total_seconds())
