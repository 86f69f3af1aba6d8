"""What is owned of fields whose schema has become atomic, or granular, since their owners were noted.

Source of the rules: sigs.k8s.io/structured-merge-diff, typed/reconcile_schema.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.apimachinery import field_sets
from knarr.apimachinery.field_changes import everything
from knarr.apimachinery.field_schema import KEYED, LEAF, MAP, SET, STRUCT, FieldSchema
from knarr.apimachinery.field_sets import FieldSet


def reconciled(fields: FieldSet, schema: FieldSchema, value: Any) -> FieldSet:
    """The set for today's schema; `fields` itself when it fits. `value` is the stored one that has the fields.

    Whoever owns a part of what is atomic now owns all of it; whoever owns as one a list that is granular now owns all
    that is in it.
    """
    out: FieldSet | None = None
    for step, node in fields.items():
        member = None if step == field_sets.SELF else _member(schema, step)
        if member is None:
            continue
        fitting = _node(node, member, _at(schema, step, value))
        if fitting is not node:
            out = dict(fields) if out is None else out
            out[step] = fitting
    return fields if out is None else out


def _node(node: FieldSet, schema: FieldSchema, value: Any) -> FieldSet:
    if schema.kind == LEAF:
        return field_sets.LEAF if node and schema.shape in ("list", "map") else node
    if node:
        return reconciled(node, schema, value)
    if not value or schema.kind not in (KEYED, SET):
        # A map may have been left to its owner without any of its members (as recorded of the real server).
        return node
    return field_sets.union({"": node}, {"": everything(schema, value)})[""] or node


def _member(schema: FieldSchema, step: str) -> FieldSchema | None:
    if schema.kind == STRUCT:
        found = schema.step(step[2:]) if step.startswith("f:") else None
        return found and found[1]
    # Values of sets are their own names: nothing is owned below them.
    return schema.item if schema.kind in (MAP, KEYED) else None


def _at(schema: FieldSchema, step: str, value: Any) -> Any:
    if schema.kind in (STRUCT, MAP):
        return value.get(step[2:]) if isinstance(value, Mapping) else None
    items = value if schema.kind in (KEYED, SET) and isinstance(value, list) else ()
    return next((item for item in items if schema.step_of(item) == step), None)
