"""Defaults of a structural schema, filled in where a field is absent, or null and may not be.

Input: an object and its schema's node. Output: the object with them (itself where there is nothing to fill; nothing is
changed in place, parts are shared).
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting/algorithm.go.
"""

from __future__ import annotations

from typing import Any

from knarr.api.structural.node import Node


def fill(node: Node, value: Any) -> Any:
    """The value with the defaults of the fields inside of it."""
    if type(value) is dict:
        return _object(node, value) if node.has_below("default") else value
    if type(value) is list:
        return _items(node, value) if node.has_below("default") else value
    return value


def _object(node: Node, value: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] | None = None
    for name, field in node.defaults:
        if name not in value or (value[name] is None and not field.nullable):
            out = dict(value) if out is None else out
            out[name] = copied(field.default)
    given = value if out is None else out
    for name, item in given.items():
        if type(item) is not dict and type(item) is not list:
            continue
        child = node.field(name) or (node.extra if node.open else None)
        new = item if child is None else fill(child, item)
        if new is not item:
            out = dict(value) if out is None else out
            out[name] = new
    return value if out is None else out


def _items(node: Node, value: list[Any]) -> list[Any]:
    below = node.items
    if below is None:
        return value
    out: list[Any] | None = None
    for index, item in enumerate(value):
        given = copied(below.default) if item is None and not below.nullable else item
        new = fill(below, given)
        if new is not item:
            out = list(value) if out is None else out
            out[index] = new
    return value if out is None else out


def copied(value: Any) -> Any:
    """A deep copy of a JSON value."""
    if type(value) is dict:
        return {name: copied(item) for name, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value
