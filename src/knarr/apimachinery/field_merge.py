"""Objects changed by what managed fields say: a configuration merged into an object, fields taken out of one.

Input: an object of a kind, its schema, and a configuration or a set of fields. Output: a new object; nothing is changed
in place, parts are shared.
Source: sigs.k8s.io/structured-merge-diff, typed (merge, remove); KEP-555.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.apimachinery import field_sets
from knarr.apimachinery.field_schema import KEYED, LEAF, MAP, SCALAR, SET, STRUCT, FieldSchema
from knarr.apimachinery.field_sets import FieldSet

_LISTS = (KEYED, SET)
_MAPS = (STRUCT, MAP)


def merge(schema: FieldSchema, live: Any, config: Any) -> Any:
    """The live value with all that the configuration says."""
    if schema.kind == LEAF or not (live or config):
        return config
    if schema.kind in _LISTS:
        return _merged_items(schema, live or [], config or []) if isinstance(config, list | None) else config
    if schema.kind == MAP and not (isinstance(live, dict | None) and isinstance(config, dict | None)):
        return config
    out = dict(live or {})
    for name, value in (config or {}).items():
        out[name] = merge(_member(schema, name), out[name], value) if name in out else value
    return out


def _member(schema: FieldSchema, name: str) -> FieldSchema:
    found = schema.declared.get(name) if schema.kind == STRUCT else schema.item
    return found or schema.item or SCALAR


def _merged_items(schema: FieldSchema, live: list[Any], config: list[Any]) -> list[Any]:
    """The items of both: the configuration's sequence where they share items, else each where it stood."""
    mine = [(_step(schema, item), item) for item in live]
    theirs = {_step(schema, item): item for item in config}
    known = _by_step(mine)
    waiting = _Rest(theirs, [step for step in theirs if step in known])
    out: list[Any] = []
    for step, item in mine:
        if step not in theirs:
            out.append(item)
        elif step == waiting.shared:
            out += [_merged_item(schema, known, theirs, name) for name in waiting.until(step)]
    return out + [_merged_item(schema, known, theirs, name) for name in waiting.until(None)]


def _merged_item(schema: FieldSchema, live: dict[str, Any], config: dict[str, Any], step: str) -> Any:
    item = config[step]
    # One of several live items with the same key can't be told from the others: the configuration's stands alone.
    return merge(schema.item or SCALAR, live[step], item) if live.get(step) is not None else item


def _by_step(items: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for step, item in items:
        out[step] = None if step in out else item
    return out


class _Rest:
    """The configuration's items that are still to be written, and the next of them that the live list has too."""

    def __init__(self, steps: dict[str, Any], shared: list[str]) -> None:
        self._steps = iter(steps)
        self._shared = iter(shared)
        self.shared = next(self._shared, None)

    def until(self, last: str | None) -> Iterator[str]:
        """The items up to one."""
        for step in self._steps:
            if step == self.shared:
                self.shared = next(self._shared, None)
            yield step
            if step == last:
                return


def _step(schema: FieldSchema, item: Any) -> str:
    try:
        return schema.step_of(item)
    except ValueError:
        # Live items without a key are never merged: each stays where it stands.
        return f"?{id(item)}"


def remove(schema: FieldSchema, value: Any, fields: FieldSet) -> Any:
    """The value without some fields; `None` where nothing is left of a map or list."""
    if schema.kind in _LISTS and isinstance(value, list):
        return _without_items(schema, value, fields) or None
    if schema.kind in _MAPS and isinstance(value, dict):
        return _without_members(schema, value, fields) or None
    return value if schema.shape not in ("list", "map") else None


def _without_members(schema: FieldSchema, value: dict[str, Any], fields: FieldSet) -> dict[str, Any]:
    out = {}
    for name, item in value.items():
        node = fields.get(f"f:{name}")
        if node is None:
            out[name] = item
        elif node and field_sets.SELF not in node:
            out[name] = remove(_member(schema, name), item, node)
    return out


def _without_items(schema: FieldSchema, value: list[Any], fields: FieldSet) -> list[Any]:
    out = []
    for item in value:
        node = fields.get(_step(schema, item))
        if node is None:
            out.append(item)
        elif node and field_sets.SELF not in node:
            out.append(remove(schema.item or SCALAR, item, node))
    return out


def with_named(schema: FieldSchema, fields: FieldSet) -> FieldSet:
    """The set with every declared field that leads to one of it; list items and map members stay as they are."""
    out = {}
    for step, node in fields.items():
        if step == field_sets.SELF or not node:
            out[step] = node
            continue
        # Metadata that nobody owns keeps its object together: it is never taken out whole.
        named = schema.kind == STRUCT and step[2:] in schema.declared and not schema.declared[step[2:]].hidden
        below = with_named(_below(schema, step), node)
        out[step] = {field_sets.SELF: field_sets.LEAF, **below} if named else below
    return out


def _below(schema: FieldSchema, step: str) -> FieldSchema:
    return _member(schema, step[2:]) if schema.kind in _MAPS else schema.item or SCALAR
