"""Schemas, and values that more or less fit them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_NAMES = st.sampled_from(["a", "b", "c"])
_SCALARS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "maxLength": 2},
    {"type": "string", "enum": ["x", "y"]},
    {"type": "string", "pattern": "^x*$"},
    {"type": "string", "format": "date"},
    {"type": "string", "default": "x"},
    {"type": "integer"},
    {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
    {"type": "integer", "default": 3},
    {"type": "number", "multipleOf": 0.5},
    {"type": "number", "maximum": 1.5, "exclusiveMaximum": True},
    {"type": "integer", "maximum": 1.5},
    {"type": "boolean", "nullable": True},
    {"x-kubernetes-int-or-string": True},
    {"x-kubernetes-preserve-unknown-fields": True},
]


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda properties, required, more: {
            "type": "object",
            "properties": properties,
            "required": [name for name in required if name in properties],
            **more,
        },
        st.dictionaries(_NAMES, inner, min_size=1),
        st.lists(_NAMES, unique=True),
        st.sampled_from(
            [
                {},
                {"x-kubernetes-preserve-unknown-fields": True},
                {"minProperties": 1},
                {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
                {"oneOf": [{"required": ["a"]}, {"properties": {"b": {"minimum": 2}}}]},
                {"allOf": [{"maxProperties": 2}]},
                {"not": {"required": ["c"]}},
            ]
        ),
    )


def _keyed(inner: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "object", "properties": {"a": {"type": "string", "default": "x"}, "b": inner}}
    return {
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["a"],
    }


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of objects."""
    inner = st.recursive(
        st.sampled_from(_SCALARS),
        lambda below: st.one_of(
            _objects(below),
            st.builds(lambda item: {"type": "object", "additionalProperties": item}, below),
            st.builds(
                lambda item, more: {"type": "array", "items": item, **more},
                below,
                st.sampled_from([{}, {"maxItems": 2}, {"uniqueItems": True}, {"x-kubernetes-list-type": "set"}]),
            ),
            st.builds(_keyed, below),
        ),
        max_leaves=6,
    )
    return _objects(inner)


def values() -> st.SearchStrategy[dict[str, Any]]:
    """Objects with such fields, of any type."""
    return st.dictionaries(
        _NAMES,
        st.recursive(
            st.sampled_from([None, True, 0, 1, 2, 1.5, 2.0, "", "x", "xx", "y", "long", "2024-01-01"]),
            lambda below: st.lists(below, max_size=3) | st.dictionaries(_NAMES, below, max_size=3),
            max_leaves=6,
        ),
    )
