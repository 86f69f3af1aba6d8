"""What lies in an object as fields with owners, and what differs between two objects.

Input: objects of one kind in canonical form, and its schema. Output: sets of fields (`field_sets`), in order.
An absent field and an empty one are different things, as are an empty list and none. All raise `ValueError` for an
object that cannot be told apart field by field: an item of a keyed list has none of its keys.
Source: sigs.k8s.io/structured-merge-diff, typed (compare, toFieldSet).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import compress, repeat
from operator import ne
from typing import Any, NamedTuple

import orjson

from knarr.apimachinery import field_sets
from knarr.apimachinery.field_schema import KEYED, LEAF, MAP, SCALAR, SET, STRUCT, FieldSchema
from knarr.apimachinery.field_sets import FieldSet
from knarr.apimachinery.types import Object

#: Stands for a value that is not there (unlike null, which is).
_ABSENT: Any = object()
_NOTHING: FieldSet = {}
#: The node of a map with no more members than this is remembered: many objects have the same labels.
_FEW = 8
#: What is owned of a new struct is remembered from so many members on, of so many structs, up to a size in bytes.
_MANY, _MOST, _LONGEST = 4, 256, 8192
_remembered: dict[tuple[FieldSchema, bytes], Changes] = {}


class Changes(NamedTuple):
    """The fields that were added or got another value, and those that are gone."""

    changed: FieldSet
    removed: FieldSet


_NONE = Changes(_NOTHING, _NOTHING)
#: What became of a value that has one owner.
_CHANGED = Changes(field_sets.LEAF, _NOTHING)


def compare(schema: FieldSchema, old: Any, new: Any) -> Changes:
    """What became of `old`: both are objects of the schema's kind."""
    return _NONE if old == new else _members(schema, old, new)


def compare_new(schema: FieldSchema, empty: Object, new: Object) -> Changes:
    """As `compare`, with an empty object of the kind: new ones have much in common with others before them."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    steps = schema.steps
    for name in sorted(new):
        step = steps.get(name) or schema.step(name)
        if step is None:
            continue
        (text, below), value, before = step, new[name], empty.get(name, _ABSENT)
        if before is _ABSENT and below.kind is not STRUCT:
            changed[text] = everything(below, value)
        elif before != value:
            _note(text, _new_member(below, before, value), changed, removed)
    return Changes(changed, removed)


def _new_member(schema: FieldSchema, old: Any, new: Any) -> Changes:
    if schema.kind is LEAF:
        return _CHANGED
    if schema.kind is not STRUCT or not new or len(new) < _MANY:
        return _added(schema, old, new)
    try:
        key = (schema, orjson.dumps([new] if old is _ABSENT else [old, new]))
    except orjson.JSONEncodeError:
        return _added(schema, old, new)
    found = _remembered.get(key)
    if found is None:
        found = _added(schema, old, new)
        if len(key[1]) <= _LONGEST:
            if len(_remembered) >= _MOST:
                # The oldest goes.
                del _remembered[next(iter(_remembered))]
            _remembered[key] = found
    return found


def _added(schema: FieldSchema, old: Any, new: Any) -> Changes:
    return Changes(everything(schema, new), _NOTHING) if old is _ABSENT else _value(schema, old, new)


def _members(schema: FieldSchema, old: Any, new: Any) -> Changes:
    """The differences below a map or list that both objects have."""
    if schema.kind in (KEYED, SET):
        return _items(schema, old or (), new or ())
    changed: FieldSet = {}
    removed: FieldSet = {}
    old, new = old or {}, new or {}
    # Most structs have their declared fields and no others.
    steps = schema.steps if schema.kind is STRUCT and schema.item is None else None
    # No loop of our own: nearly all members are as they were.
    differing = list(compress(new, map(ne, new.values(), map(old.get, new, repeat(_ABSENT)))))
    if len(differing) > 1:
        differing.sort()
    for name in differing:
        step = steps.get(name) if steps is not None else _step(schema, name)
        if step is None:
            continue
        text, below = step
        # Most fields are leaves: no calls for them.
        if below.kind is LEAF:
            changed[text] = field_sets.LEAF
        elif name not in old:
            changed[text] = everything(below, new[name])
        else:
            _note(text, _value(below, old[name], new[name]), changed, removed)
    for name in old.keys() - new.keys():
        step = steps.get(name) if steps is not None else _step(schema, name)
        if step is not None:
            removed[step[0]] = everything(step[1], old[name])
    return Changes(changed, removed)


def _step(schema: FieldSchema, name: str) -> tuple[str, FieldSchema] | None:
    """How a member of a map is reached; `None` for what nobody owns."""
    if schema.kind == STRUCT:
        return schema.step(name)
    return f"f:{name}", schema.item or SCALAR


def _note(step: str, found: Changes, changed: FieldSet, removed: FieldSet) -> None:
    if found.changed is field_sets.LEAF or found.changed:
        changed[step] = found.changed
    if found.removed:
        removed[step] = found.removed


def _value(schema: FieldSchema, old: Any, new: Any) -> Changes:
    """The differences of two unequal values: `LEAF` as `changed` says that the value itself has changed."""
    if schema.kind == LEAF or not (old or new):
        return _CHANGED
    if schema.kind == MAP and not (isinstance(new, dict | None) and isinstance(old, dict | None)):
        return Changes(everything(schema, new), _NOTHING)
    return _members(schema, old, new)


def _items(schema: FieldSchema, old: Any, new: Any) -> Changes:
    """The differences of two lists, whatever the order of their items."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    before, after = _by_step(schema, old), _by_step(schema, new)
    for step in field_sets.in_order(after):
        values, was = after[step], before.get(step)
        if was is None:
            changed[step] = _all_of(schema, values)
        elif was != values:
            _note(step, _same_step(schema, was, values), changed, removed)
    for step, values in before.items():
        if step not in after:
            removed[step] = _all_of(schema, values)
    return Changes(changed, removed)


def _by_step(schema: FieldSchema, items: Any) -> dict[str, list[Any]]:
    """A list's items by their step. Raises `ValueError` for one that has none."""
    out: dict[str, list[Any]] = {}
    for item in items:
        step = schema.step_of(item)
        if step in out:
            out[step].append(item)
        else:
            out[step] = [item]
    return out


def _all_of(schema: FieldSchema, values: list[Any]) -> FieldSet:
    """What is owned of items with one step: of several only that they are there."""
    return everything(schema.item or SCALAR, values[0]) if len(values) == 1 else field_sets.LEAF


def _same_step(schema: FieldSchema, old: list[Any], new: list[Any]) -> Changes:
    item = schema.item or SCALAR
    if len(old) == 1 and len(new) == 1:
        return _value(item, old[0], new[0])
    if len(old) > 1 and len(new) > 1:
        return _CHANGED
    if len(old) > 1:
        return Changes(everything(item, new[0]), {field_sets.SELF: field_sets.LEAF})
    return Changes(field_sets.LEAF, everything(item, old[0]))


def everything(schema: FieldSchema, value: Any) -> FieldSet:
    """The node of a value that stands or falls as a whole: it and everything below it, in order."""
    kind = schema.kind
    if kind is LEAF or not value:
        return field_sets.LEAF
    if kind is STRUCT:
        plan = schema.plan(value)
        if not plan.parts:
            return plan.fields
        out = plan.fields.copy()
        for text, below, name in plan.parts:
            out[text] = everything(below, value[name])
        return out
    below = schema.item or SCALAR
    if kind is MAP and not isinstance(value, dict):
        return field_sets.LEAF
    if kind is MAP and below.kind is LEAF:
        return (_leaves if len(value) <= _FEW else _leaves.__wrapped__)(tuple(value))
    out = {field_sets.SELF: field_sets.LEAF}
    if kind is MAP:
        for name in sorted(value):
            out[f"f:{name}"] = everything(below, value[name])
    else:
        found = _by_step(schema, value)
        for text in field_sets.in_order(found):
            out[text] = _all_of(schema, found[text])
    return out


@lru_cache(maxsize=1024)
def _leaves(names: tuple[str, ...]) -> FieldSet:
    """The node of a map of leaves: labels, data."""
    return {field_sets.SELF: field_sets.LEAF, **{f"f:{name}": field_sets.LEAF for name in sorted(names)}}


def extract(schema: FieldSchema, value: Any) -> FieldSet:
    """The fields that an applied configuration names: the set below a value."""
    out: FieldSet = {}
    if schema.kind in (KEYED, SET):
        by_step = _by_step(schema, value or ())
        for step_text in field_sets.in_order(by_step):
            items = by_step[step_text]
            below = extract(schema.item or SCALAR, items[0]) if len(items) == 1 else _NOTHING
            out[step_text] = {field_sets.SELF: field_sets.LEAF, **below} if below else field_sets.LEAF
        return out
    if schema.kind == LEAF or not isinstance(value, dict):
        return out
    for name in sorted(value):
        step, item = _step(schema, name), value[name]
        if step is not None:
            node = _extract_member(schema, step[1], item)
            if node is not None:
                out[step[0]] = node
    return out


def _extract_member(schema: FieldSchema, member: FieldSchema, value: Any) -> FieldSet | None:
    """The node of a map's member; `None` where an empty list leaves nothing to own."""
    if member.kind == LEAF or value is None or value == {} or (member.kind == MAP and not isinstance(value, dict)):
        return field_sets.LEAF
    below = extract(member, value)
    if schema.kind == STRUCT:
        return below or None
    return {field_sets.SELF: field_sets.LEAF, **below} if below else field_sets.LEAF
