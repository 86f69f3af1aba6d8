"""One value's place in a structural schema, read from the JSON of the definition where it is asked for.

A node holds no copy of the schema: only what was looked at is made, so that definitions that nobody uses cost nothing.
Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema, structural.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from knarr.apimachinery.types import Object

_NO_FIELDS: Mapping[str, Any] = {}
_JUNCTORS = ("allOf", "anyOf", "oneOf")


class Node:
    """A schema of the skeleton: `schema` as the definition has it; `field`, `items`, `extra` lead to the values inside.

    `embedded`: an object of its own, with `apiVersion`, `kind` and metadata. `preserve`: unknown fields stay.
    `children` has the nodes that were made so far, by their field's name.
    """

    __slots__ = (
        "_below",
        "children",
        "_defaults",
        "default",
        "embedded",
        "nullable",
        "preserve",
        "properties",
        "schema",
    )

    def __init__(self, schema: Object, *, embedded: bool | None = None) -> None:
        self.schema = schema
        self.properties: Mapping[str, Object] = schema.get("properties") or _NO_FIELDS
        self.nullable = bool(schema.get("nullable"))
        self.default = schema.get("default")
        self.preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(schema.get("x-kubernetes-embedded-resource")) if embedded is None else embedded
        self.children: dict[str, Node] = {}
        self._below: dict[str, bool] = {}
        self._defaults: tuple[tuple[str, Node], ...] | None = None

    @property
    def type(self) -> str:
        """`object`, `array`, `string`, ...; empty where any value is fine."""
        return self.schema.get("type") or ""

    def field(self, name: str) -> Node | None:
        """The node of a declared field."""
        found = self.children.get(name)
        if found is None and name in self.properties:
            found = self.children[name] = Node(self.properties[name])
        return found

    @property
    def items(self) -> Node | None:
        """The node of a list's items."""
        return self._inner("items")

    @property
    def open(self) -> bool:
        """Whether an object may have members of any name (`additionalProperties`, a schema or true)."""
        return self.schema.get("additionalProperties") not in (None, False)

    @property
    def extra(self) -> Node | None:
        """The node of a map's values."""
        return self._inner("additionalProperties")

    def member(self, name: str) -> Node | None:
        """The node of an object's member: a declared field, else one of any name."""
        return self.field(name) or self.extra

    def _inner(self, key: str) -> Node | None:
        # No field is called so: a slash is not in the names of keywords.
        slot = f"/{key}"
        found = self.children.get(slot)
        if found is None and isinstance(self.schema.get(key), dict):
            found = self.children[slot] = Node(self.schema[key])
        return found

    @property
    def defaults(self) -> tuple[tuple[str, Node], ...]:
        """The declared fields that have a default, with their nodes."""
        if self._defaults is None:
            names = (name for name, inner in self.properties.items() if inner.get("default") is not None)
            self._defaults = tuple((name, found) for name in names if (found := self.field(name)) is not None)
        return self._defaults

    def has_below(self, keyword: str) -> bool:
        """Whether a schema inside of this one, or itself, has a keyword with something to say."""
        found = self._below.get(keyword)
        if found is None:
            found = self._below[keyword] = mentions(self.schema, keyword)
        return found


def inner_schemas(schema: Object) -> Iterator[Object]:
    """The schemas of the skeleton right below: of fields, items and members of any name."""
    yield from (schema.get("properties") or _NO_FIELDS).values()
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield schema[key]


def mentions(schema: Object, keyword: str) -> bool:
    """Whether a keyword says something anywhere in a schema's skeleton, or below a junctor of it."""
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if one.get(keyword) not in (None, False, []):
            return True
        waiting.extend(inner_schemas(one))
        for junctor in _JUNCTORS:
            waiting.extend(one.get(junctor) or ())
    return False
