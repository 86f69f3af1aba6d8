"""A small kind for tests of owned fields, and objects of it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from knarr.apimachinery.field_schema import KEYED, LEAF, MAP, SET, STRUCT, FieldSchema
from knarr.apimachinery.types import Object

_TEXT = FieldSchema(LEAF, shape="string")
_NUMBER = FieldSchema(LEAF, shape="numeric")


def _struct(**fields: FieldSchema) -> FieldSchema:
    return FieldSchema(STRUCT, make_fields=lambda: fields, shape="map")


_ITEM = _struct(name=_TEXT, port=_NUMBER, protocol=_TEXT, tags=FieldSchema(MAP, _TEXT, shape="map"))
_SPEC = _struct(
    size=_NUMBER,
    words=FieldSchema(LEAF, _TEXT, shape="list"),
    labels=FieldSchema(MAP, _TEXT, shape="map"),
    finalizers=FieldSchema(SET, _TEXT, shape="list"),
    items=FieldSchema(KEYED, _ITEM, ("port", "protocol"), {"protocol": "TCP"}, shape="list"),
    inner=_struct(a=_TEXT, b=_TEXT),
)
_META = FieldSchema(
    STRUCT,
    make_fields=lambda: {
        "name": _TEXT,
        "uid": _TEXT,
        "labels": FieldSchema(MAP, _TEXT, shape="map"),
        "managedFields": FieldSchema(LEAF),
    },
    hidden=frozenset({"name", "uid", "managedFields"}),
    shape="map",
)
KIND = FieldSchema(
    STRUCT,
    make_fields=lambda: {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _META, "spec": _SPEC},
    hidden=frozenset({"apiVersion", "kind"}),
    shape="map",
)

_WORD = st.sampled_from(["a", "b", "c"])
_LABELS = st.dictionaries(_WORD, _WORD, max_size=3)
_ITEMS = st.lists(
    st.fixed_dictionaries(
        {"port": st.sampled_from([80, 81, 82])},
        optional={"protocol": st.sampled_from(["TCP", "UDP"]), "name": _WORD, "tags": _LABELS},
    ),
    max_size=3,
    unique_by=lambda item: (item["port"], item.get("protocol", "TCP")),
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from([1, 2]),
        "words": st.lists(_WORD, max_size=2),
        "labels": _LABELS,
        "finalizers": st.lists(_WORD, max_size=3, unique=True),
        "items": _ITEMS,
        "inner": st.dictionaries(st.sampled_from(["a", "b"]), _WORD, max_size=2),
    },
)


#: Specs as they are stored: without empty lists and maps.
FULL_SPECS = SPECS.map(lambda spec: {key: value for key, value in spec.items() if value not in ([], {})})


def thing(spec: Any, *, uid: str = "u") -> Object:
    """An object of the kind."""
    meta = {"name": "x", "uid": uid} if uid else {"name": "x"}
    return {"apiVersion": "v1", "kind": "Thing", "metadata": meta, "spec": spec}


def config(spec: Any) -> Object:
    """A configuration of the object; an empty spec is not mentioned."""
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x"}, **({"spec": spec} if spec else {})}
