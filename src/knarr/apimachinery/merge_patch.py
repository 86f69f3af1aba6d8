"""JSON merge patch (RFC 7386).

Input: a document and a patch, neither of which is changed. Output: the patched document, which shares what the patch
left alone with the input.
"""

from __future__ import annotations

from typing import Any

from knarr.apimachinery.errors import StatusError, bad_request
from knarr.apimachinery.types import Object

_KINDS = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def apply(doc: Object, patch: Any) -> Object:
    """The document with the patch merged into it. Raises `StatusError` (400) for a patch that is no object."""
    return _merge(doc, object_patch(patch))


def object_patch(patch: Any) -> Object:
    """A merge patch of either kind as an object; `null` is an empty one. Raises `StatusError` (400) for others."""
    if patch is None:
        return {}
    if not isinstance(patch, dict):
        raise wrong_json(patch, "map[string]interface {}")
    return patch


def wrong_json(value: Any, wanted: str) -> StatusError:
    """400 for a patch whose JSON is of another shape than the Go type `wanted`."""
    kind = _KINDS.get(type(value), "object")
    return bad_request(f"error decoding patch: json: cannot unmarshal {kind} into Go value of type {wanted}")


def _merge(doc: Object, patch: Object) -> Object:
    out = dict(doc)
    for key, value in patch.items():
        current = out.get(key)
        if value is None:
            out.pop(key, None)
        elif isinstance(current, dict):
            out[key] = _merge(current, value) if isinstance(value, dict) else value
        else:
            out[key] = without_nulls(value)
    return out


def without_nulls(value: Any) -> Any:
    """A value whose objects, at any depth, have no null members; list items stay."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
