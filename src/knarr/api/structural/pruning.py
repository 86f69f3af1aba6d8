"""Pruning: fields that the schema does not know are dropped, as are nulls where neither null nor a default belongs.

Input: an object and its schema's node. Output: the object without them (itself where nothing is dropped; nothing is
changed in place, parts are shared) and the paths of the unknown fields, sorted.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema, pruning and defaulting/prunenulls.go.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from knarr.api.structural.node import Node
from knarr.apimachinery.types import Object

#: What every object has besides its schema.
META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})

#: Where a value stands: its parent's place and its name or index. Written out only for a complaint.
Place: TypeAlias = tuple[Any, "str | int"]

_CONTAINERS = (dict, list)
#: The schema of values of which nothing is known: no field inside stays.
_NOTHING = Node({})


def prune(root: Node, obj: Object) -> tuple[Object, list[str]]:
    """The object with known fields and no stray nulls, and the paths of what was unknown."""
    unknown: list[Place] = []
    found = _value(root, obj, None, unknown)
    return found, sorted(path(place) for place in unknown)


def path(place: Place | None) -> str:
    """`spec.list[0].name`."""
    parts: list[str] = []
    while place is not None:
        place, step = place
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(parts)).removeprefix(".")


def _value(node: Node, value: Any, place: Place | None, unknown: list[Place], *, keep: bool = False) -> Any:
    if type(value) is dict:
        return _object(node, value, place, unknown, keep=keep or node.preserve)
    if type(value) is list:
        return _items(node, value, place, unknown, keep=keep or node.preserve)
    return value


def _object(node: Node, value: Object, place: Place | None, unknown: list[Place], *, keep: bool) -> Object:
    out: Object | None = None
    children = node.children
    for name, item in value.items():
        if item is not None and type(item) not in _CONTAINERS and name in children:
            # Most members are scalars of a known field: no call for them.
            continue
        new = _member(node, name, item, (place, name), unknown, keep)
        if new is item:
            continue
        if out is None:
            out = dict(value)
        if new is ...:
            del out[name]
        else:
            out[name] = new
    return value if out is None else out


def _member(node: Node, name: str, item: Any, place: Place, unknown: list[Place], keep: bool) -> Any:  # noqa: FBT001, PLR0913
    """What becomes of an object's member; `...` where it is dropped."""
    child = node.field(name)
    if child is None:
        if node.embedded and name in META_FIELDS:
            return item
        if node.open:
            child = node.extra or _NOTHING
        elif keep:
            return item
        else:
            unknown.append(place)
            return ...
    if item is None:
        return ... if child is not _NOTHING and not child.nullable and child.default is None else None
    if type(item) not in _CONTAINERS:
        return item
    if node.embedded and name in META_FIELDS:
        return _without_nulls(child, item)
    return _value(child, item, place, unknown)


def _items(node: Node, value: list[Any], place: Place | None, unknown: list[Place], *, keep: bool) -> list[Any]:
    below = node.items
    if below is None:
        if keep:
            return value
        below = _NOTHING
    out: list[Any] | None = None
    for index, item in enumerate(value):
        new = _value(below, item, (place, index), unknown, keep=keep) if type(item) in _CONTAINERS else item
        if new is not item:
            out = list(value) if out is None else out
            out[index] = new
    return value if out is None else out


def _without_nulls(node: Node | None, value: Any) -> Any:
    """The value without the nulls that are neither allowed nor filled by a default; unknown fields stay."""
    if type(value) is list:
        below = None if node is None else node.items
        return [_without_nulls(below, item) for item in value]
    if type(value) is not dict:
        return value
    out = {}
    for name, item in value.items():
        child = None if node is None else node.member(name)
        if item is None and child is not None and not child.nullable and child.default is None:
            continue
        out[name] = _without_nulls(child, item)
    return out
