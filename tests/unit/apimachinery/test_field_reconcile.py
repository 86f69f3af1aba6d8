"""Owned fields follow a schema that becomes atomic or granular."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.apimachinery.field_reconcile import reconciled
from knarr.apimachinery.field_schema import KEYED, LEAF, MAP, STRUCT, FieldSchema

TEXT = FieldSchema(LEAF, shape="string")
ITEM = FieldSchema(STRUCT, make_fields=lambda: {"x": TEXT, "y": TEXT}, shape="map")
KEYED_LIST = FieldSchema(KEYED, ITEM, ("x",), shape="list")
ATOMIC_LIST = FieldSchema(LEAF, shape="list")
VALUE = {"spec": {"l": [{"x": "a"}, {"x": "b", "y": "c"}], "m": {"p": "1", "q": "2"}, "t": "x"}}
GRANULAR: Any = {
    "f:l": {".": {}, 'k:{"x":"a"}': {".": {}, "f:x": {}}, 'k:{"x":"b"}': {".": {}, "f:x": {}, "f:y": {}}},
    "f:m": {},
    "f:t": {},
}


def schema(items: FieldSchema, members: FieldSchema) -> FieldSchema:
    spec = FieldSchema(STRUCT, make_fields=lambda: {"l": items, "m": members, "t": TEXT}, shape="map")
    return FieldSchema(STRUCT, make_fields=lambda: {"spec": spec}, shape="map")


@pytest.mark.parametrize(
    ("now", "fields", "wanted"),
    [
        (schema(KEYED_LIST, FieldSchema(MAP, TEXT, shape="map")), {"f:l": {}, "f:m": {}, "f:t": {}}, GRANULAR),
        (
            schema(ATOMIC_LIST, FieldSchema(LEAF, shape="map")),
            {"f:l": {'k:{"x":"a"}': {"f:x": {}}}, "f:m": {"f:p": {}}},
            {"f:l": {}, "f:m": {}},
        ),
    ],
    ids=["granular", "atomic"],
)
def test_what_has_become(now: FieldSchema, fields: Any, wanted: Any) -> None:
    found = reconciled({"f:spec": fields}, now, VALUE)
    assert found == {"f:spec": wanted}
    # What fits stays as it is.
    assert reconciled(found, now, VALUE) is found


def test_unknown_fields_and_items_stay() -> None:
    fields: Any = {"f:spec": {"f:gone": {}, "f:l": {'k:{"x":"z"}': {".": {}, "f:x": {}}}, "f:m": {}}}
    now = schema(KEYED_LIST, FieldSchema(MAP, TEXT, shape="map"))
    assert reconciled(fields, now, {"spec": {}}) is fields
