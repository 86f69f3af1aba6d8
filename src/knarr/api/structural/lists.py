"""Lists that are sets or keyed (`x-kubernetes-list-type`): no item stands twice.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype/validation.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from knarr.api.structural.causes import Errors
from knarr.api.structural.node import Node
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_KEYWORD = "x-kubernetes-list-type"


def repeated(root: Node, obj: Object) -> Errors:
    """The items of an object's sets and keyed lists that stand there again."""
    errors: Errors = []
    if root.has_below(_KEYWORD):
        _value(errors, root, obj, "")
    return errors


def _value(errors: Errors, node: Node, value: Any, path: str) -> None:
    if type(value) is list:
        _list(errors, node, value, path)
    elif type(value) is dict:
        for name, item in value.items():
            if type(item) is not dict and type(item) is not list:
                continue
            child = node.field(name)
            below = f"{path}.{name}" if path else name
            if child is None:
                child, below = node.extra, f"{path}[{name}]"
            if child is not None and child.has_below(_KEYWORD):
                _value(errors, child, item, below)


def _list(errors: Errors, node: Node, value: list[Any], path: str) -> None:
    kind = node.schema.get(_KEYWORD)
    if kind == "set":
        errors += [field.duplicate(f"{path}[{at}]", value[at]) for at in second_times(value)]
    elif kind == "map":
        errors += _keyed(node.schema.get("x-kubernetes-list-map-keys") or (), value, path)
    items = node.items
    if items is not None and items.has_below(_KEYWORD):
        for at, item in enumerate(value):
            _value(errors, items, item, f"{path}[{at}]")


def _keyed(keys: Sequence[str], value: list[Any], path: str) -> Errors:
    for at, item in enumerate(value):
        if item is not None and type(item) is not dict:
            return [field.invalid(f"{path}[{at}]", item, "must be an object for an array of list-type map")]
    found = [{key: item[key] for key in sorted(keys) if key in item} if item else {} for item in value]
    return [field.duplicate(f"{path}[{at}]", found[at]) for at in second_times(found)]


def second_times(values: Sequence[Any]) -> list[int]:
    """Where values stand for the second time; what comes a third time is not told again."""
    seen: dict[bytes, int] = {}
    out = []
    for at, value in enumerate(values):
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        seen[text] = seen.get(text, 0) + 1
        if seen[text] == 2:
            out.append(at)
    return out
