"""What managed fields must know of a kind: how far down its fields have owners of their own.

Source: the published schema's `x-kubernetes-list-type`, `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`; KEP-555.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

#: Kinds of schemas. A leaf has one owner as a whole (scalars, atomic lists and maps); a struct has named fields, a map
#: any names; the items of a keyed list are told apart by keys, those of a set by their value.
LEAF, STRUCT, MAP, KEYED, SET = "leaf", "struct", "map", "keyed", "set"


@dataclass(eq=False)
class FieldSchema:
    """The schema of one value.

    `fields` gives a struct's fields (called once: types contain themselves); `hidden` are fields that exist and that
    nobody owns. `item` is the schema of a map's values or a list's items, `keys` the names that tell items apart, and
    `defaults` the values of keys that an item may leave out. `shape` is what the value is, for those that check it: a
    scalar's kind, `list`, `map`, or empty for anything.
    """

    kind: str
    item: FieldSchema | None = None
    keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    make_fields: Callable[[], Mapping[str, FieldSchema]] = dict
    hidden: frozenset[str] = frozenset()
    shape: str = ""

    @cached_property
    def fields(self) -> Mapping[str, FieldSchema]:
        """The fields of a struct, without the hidden ones."""
        return {name: schema for name, schema in self.make_fields().items() if name not in self.hidden}

    @cached_property
    def steps(self) -> Mapping[str, tuple[str, FieldSchema]]:
        """The step of each field and its schema, by the field's name."""
        return {name: (f"f:{name}", schema) for name, schema in self.fields.items()}

    def step_of(self, item: Any) -> str:
        """The step to an item of a keyed list or a set. Raises `ValueError` for an item without a key."""
        if self.kind == SET:
            return f"v:{_text(item)}"
        if not isinstance(item, dict):
            raise ValueError("associative list with keys may not have non-map elements")
        return f"k:{{{','.join([f'{_text(key)}:{_text(self._key(item, key))}' for key in self.sorted_keys])}}}"

    @cached_property
    def sorted_keys(self) -> tuple[str, ...]:
        """The keys in the order in which a step shows them."""
        return tuple(sorted(self.keys))

    def _key(self, item: Mapping[str, Any], key: str) -> Any:
        found = item.get(key)
        if found is None:
            found = self.defaults.get(key)
        if found is None and key not in item:
            raise ValueError(
                f'associative list with keys has an element that omits key field "{key}" (and doesn\'t have default value)'
            )
        return found


#: A value with one owner.
SCALAR = FieldSchema(LEAF)


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
