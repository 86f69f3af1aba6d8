"""Whether a configuration fits its kind's schema: what server-side apply asks before anything else.

Input: a schema and the configuration as it was sent. Output: complaints, each with its path, in Kubernetes' words.
Source: sigs.k8s.io/structured-merge-diff, typed/validate.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knarr.apimachinery import field_sets
from knarr.apimachinery.field_schema import KEYED, SET, STRUCT, FieldSchema
from knarr.apimachinery.go_text import plain, sharp, type_name


def complaint(schema: FieldSchema, value: Any) -> str:
    """Everything that is wrong as one text; empty when the value fits."""
    found = [f"{path}: {text}" for path, text in _faults(schema, value)]
    if len(found) < 2:
        return "".join(found)
    return "\n".join(["errors:", *(f"  {text}" for text in found)])


def _faults(schema: FieldSchema, value: Any) -> Iterator[tuple[str, str]]:
    """Give (path, what is wrong) of each."""
    if value is None or not schema.shape:
        return
    if schema.shape == "map":
        yield from _map_faults(schema, value)
    elif schema.shape == "list":
        yield from _list_faults(schema, value)
    else:
        text = _scalar_fault(schema.shape, value)
        if text:
            yield "", text


def _map_faults(schema: FieldSchema, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield "", f"expected map, got &{{{plain(value)}}}"
        return
    declared = schema.declared
    for name in sorted(value):
        member = declared.get(name) or schema.item
        if member is None:
            if declared or schema.kind == STRUCT:
                yield f".{name}", "field not declared in schema"
                return
            continue
        for path, text in _faults(member, value[name]):
            yield f".{name}{path}", text


def _list_faults(schema: FieldSchema, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield "", f"expected list, got &{{{plain(value)}}}"
        return
    seen = set()
    for index, item in enumerate(value):
        shown = f"[{index}]"
        if schema.kind in (KEYED, SET):
            try:
                step = schema.step_of(item)
            except ValueError as error:
                yield "", f"element {index}: {error}"
                return
            shown = field_sets.step_text(step)
            if step in seen:
                yield "", f"duplicate entries for key {shown}"
            seen.add(step)
        for path, text in _faults(schema.item, item) if schema.item is not None else ():
            yield f"{shown}{path}", text


def _scalar_fault(shape: str, value: Any) -> str:
    kind = type(value)
    if shape == "string" and kind is not str:
        return f"expected string, got &value.valueUnstructured{{Value:{sharp(value)}}}"
    if shape == "boolean" and kind is not bool:
        return f"expected boolean, got &{{{plain(value)}}}"
    if shape == "numeric" and kind not in (int, float):
        return f"expected numeric (int or float), got {type_name(value)}"
    if shape == "scalar" and kind in (dict, list):
        return f"expected any scalar, got &{{{plain(value)}}}"
    return ""
