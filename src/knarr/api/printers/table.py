"""The Table form of objects, which `kubectl get` shows.

Input: objects in the version whose columns are printed (autoscalers in v2, events in core v1). Output: parts of a
`meta.k8s.io/v1` Table. Columns are data (`columns.json`); a resource without columns of its own shows name and
creation time. https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from knarr.api.printers import pods
from knarr.api.resources import Resource
from knarr.apimachinery.types import Object


def columns(resource: Resource, subresource: str = "") -> list[Object]:
    """The `columnDefinitions`. Read-only."""
    table = _columns()
    return table.get(_key(resource, subresource)) or table[""]


def cells(resource: Resource, obj: Object, now: datetime, subresource: str = "") -> list[Any]:
    """The cells of one object, in the order of the columns."""
    from knarr.api.printers.kinds import CELLS

    printer = CELLS.get(_key(resource, subresource))
    if printer is None:
        return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]
    return printer(obj, now)


def ordered(resource: Resource, objects: list[Object]) -> list[Object]:
    """Objects in the order of their rows: flow schemas by precedence, then name; all else as it comes."""
    if resource.plural != "flowschemas":
        return objects
    return sorted(objects, key=lambda obj: (obj["spec"].get("matchingPrecedence", 0), obj["metadata"]["name"]))


def row_conditions(resource: Resource, obj: Object) -> list[Object]:
    """The `conditions` of a row; only pods have any."""
    return pods.row_conditions(obj) if resource.plural == "pods" and not resource.group else []


def _key(resource: Resource, subresource: str) -> str:
    if subresource == "scale":
        return "scales"
    if resource.plural == "events":
        return "events"
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


@cache
def _columns() -> dict[str, list[Object]]:
    data = orjson.loads((Path(__file__).parent / "columns.json").read_bytes())
    texts = data["texts"]
    return {
        key: [
            {"name": name, "type": kind, "format": form, "description": texts[text], "priority": priority}
            for name, kind, form, priority, text in rows
        ]
        for key, rows in data["columns"].items()
    }
