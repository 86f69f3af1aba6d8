"""What a protobuf message looks like: a table of its fields.

What reading and writing make of a table when they first need it is kept with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message.

    `name` is empty for a struct whose fields belong to the message itself. `label` is `optional`, `repeated` or `map`;
    `type` a scalar's name (`base64`: bytes that are text here) or, for a message, empty with `message` to find it by;
    a map's is that of its values.
    """

    name: str
    label: str
    type: str
    message: Callable[[], Message] | None = None


class Reader(NamedTuple):
    """Where the value of a field goes, and what it is."""

    place: int
    field: Field


#: Makes the bytes of a value, with tag and length.
Write = Callable[[Any], bytes]


class Writer(NamedTuple):
    """How one field is written."""

    number: int
    write: Write


class Message:
    """A message type: its fields by number, and what turns its values into something else (a time, a quantity).

    `start` is the way back of `finish`; `always` are fields that are written even where the value has none, with
    their zeros; `scalar`: values are text or numbers, and few.
    """

    def __init__(
        self,
        fields: Mapping[int, Field],
        finish: Callable[[dict[str, Any]], Any] | None = None,
        start: Callable[[Any], Mapping[str, Any]] | None = None,
        always: Mapping[str, Any] | None = None,
        *,
        scalar: bool = False,
    ) -> None:
        self.fields = fields
        self.finish = finish
        self.start = start
        self.always = always or {}
        self.scalar = scalar
        #: Whether more is written than a value has members.
        self.extra = bool(always) or any(not field.name for field in fields.values())
        #: By tag; by name; by the names of a value's members, in the order in which they are written.
        self.readers: dict[int, Reader] | None = None
        self.writers: dict[str, Writer] | None = None
        self.orders: dict[tuple[str, ...], list[tuple[str, Write]]] = {}
