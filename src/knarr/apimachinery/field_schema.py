"""What managed fields must know of a kind: how far down its fields have owners of their own.

Source: the published schema's `x-kubernetes-list-type`, `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`; KEP-555.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from knarr.apimachinery import field_sets
from knarr.apimachinery.field_sets import FieldSet

#: Of how many sets of members, with how many at most, a struct remembers its plan.
_PLANS, _MEMBERS = 256, 64
#: Texts without anything that JSON escapes.
_PLAIN = re.compile(r"[ !#-\[\]-~]*")
#: Kinds of schemas. A leaf has one owner as a whole (scalars, atomic lists and maps); a struct has named fields, a map
#: any names; the items of a keyed list are told apart by keys, those of a set by their value.
LEAF, STRUCT, MAP, KEYED, SET = "leaf", "struct", "map", "keyed", "set"


class Plan(NamedTuple):
    """What is owned of a struct with certain members: all of them as leaves, and those that go further down."""

    fields: FieldSet
    #: Step, schema and name of each.
    parts: tuple[tuple[str, FieldSchema, str], ...]


@dataclass(eq=False)
class FieldSchema:
    """The schema of one value.

    `make_fields` gives a struct's fields (types contain themselves: it is asked late); `hidden` are fields that exist
    and that nobody owns. `item` is the schema of a map's values or a list's items, `keys` the names that tell items
    apart, and `defaults` the values of keys that an item may leave out. A struct with an `item` has any other fields
    too. `shape` is what a value must be: `string`,
    `boolean`, `numeric`, `scalar` (any of them), `list`, `map`, or empty for anything.
    """

    kind: str
    item: FieldSchema | None = None
    keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    make_fields: Callable[[], Mapping[str, FieldSchema]] = dict
    hidden: frozenset[str] = frozenset()
    shape: str = ""

    @cached_property
    def declared(self) -> Mapping[str, FieldSchema]:
        """All fields of a struct."""
        return self.make_fields()

    @cached_property
    def fields(self) -> Mapping[str, FieldSchema]:
        """The fields of a struct that can be owned."""
        return {name: schema for name, schema in self.declared.items() if name not in self.hidden}

    @cached_property
    def steps(self) -> Mapping[str, tuple[str, FieldSchema]]:
        """The step of each field and its schema, by the field's name."""
        return {name: (f"f:{name}", schema) for name, schema in self.fields.items()}

    def step(self, name: str) -> tuple[str, FieldSchema] | None:
        """How a member of a struct is reached; `None` for what nobody owns."""
        found = self.steps.get(name)
        if found is None and self.item is not None and name not in self.hidden:
            return f"f:{name}", self.item
        return found

    def plan(self, value: Mapping[str, Any]) -> Plan:
        """The node of a struct with the members of `value`."""
        names = tuple(value)
        found = self._plans.get(names)
        if found is None:
            found = self._planned(names)
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            if len(names) <= _MEMBERS:
                self._plans[names] = found
        return found

    @cached_property
    def _plans(self) -> dict[tuple[str, ...], Plan]:
        return {}

    def _planned(self, names: tuple[str, ...]) -> Plan:
        steps = [(name, self.step(name)) for name in sorted(names)]
        known = [(name, *step) for name, step in steps if step is not None]
        fields = {step: field_sets.LEAF for _, step, _ in known}
        parts = tuple((step, below, name) for name, step, below in known if below.kind != LEAF)
        return Plan({field_sets.SELF: field_sets.LEAF, **fields} if fields else field_sets.LEAF, parts)

    def step_of(self, item: Any) -> str:
        """The step to an item of a keyed list or a set. Raises `ValueError` for an item without a key."""
        if self.kind == SET:
            return f"v:{_text(self._member(item))}"
        if not isinstance(item, dict):
            what = "a null element" if item is None else "non-map elements"
            raise ValueError(f"associative list with keys may not have {what}")
        if self._only_key:
            value = item.get(self._only_key)
            if type(value) is str:
                return f"k:{{{self._keys[0][1]}{_quoted(value)}}}"
        found = [
            f"{start}{_text(item[key] if key in item else self.defaults[key])}"
            for key, start in self._keys
            if key in item or key in self.defaults
        ]
        if not found:
            names = " ".join(_text(key) for key in self.keys)
            raise ValueError(
                f"associative list with keys has an element that omits all key fields [{names}] "
                "(and doesn't have default values for any key fields)"
            )
        return f"k:{{{','.join(found)}}}"

    def _member(self, item: Any) -> Any:
        """A set's item as it is. Raises `ValueError` for what a set cannot hold."""
        if item is None:
            raise ValueError("associative list without keys has an element that's an explicit null")
        if isinstance(item, dict):
            raise ValueError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise ValueError("not supported: associative list with lists as elements")
        return item

    @cached_property
    def _only_key(self) -> str:
        return self.keys[0] if len(self.keys) == 1 else ""

    @cached_property
    def _keys(self) -> tuple[tuple[str, str], ...]:
        """The keys in the order in which a step shows them, each with the text before its value."""
        return tuple((key, f"{_text(key)}:") for key in sorted(self.keys))


#: A value with one owner.
SCALAR = FieldSchema(LEAF)
#: A value that no schema tells of: maps are told apart by their names, all else has one owner.
DEDUCED = FieldSchema(MAP)
DEDUCED.item = DEDUCED


def _text(value: Any) -> str:
    if type(value) is str:
        return _quoted(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _quoted(text: str) -> str:
    return f'"{text}"' if _PLAIN.fullmatch(text) else orjson.dumps(text).decode()
