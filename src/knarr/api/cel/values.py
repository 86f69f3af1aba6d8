"""Values of expressions.

JSON's own are what they are in Python: dict, list, str, int (64 bits), float, bool, None; bytes too. The rest is here.
Values never change once made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from knarr.api.cel.budget import EvaluationError


class Uint(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


class Timestamp(int):
    """A point in time: nanoseconds since 1970; `offset` is how many seconds east of UTC it is shown."""

    offset: int

    def __new__(cls, value: int, offset: int = 0) -> Timestamp:
        """A point in time, in nanoseconds, and its zone, in seconds."""
        made = super().__new__(cls, value)
        made.offset = offset
        return made

    def __eq__(self, other: object) -> bool:
        return type(other) is Timestamp and int(self) == int(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


class Duration(int):
    """A span of time: nanoseconds."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is Duration and int(self) == int(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


class Optional:
    """A value that may be absent."""

    __slots__ = ("present", "value")

    def __init__(self, value: Any = None, *, present: bool = True) -> None:
        self.value, self.present = value, present

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Optional) and self.present == other.present and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.present)


NONE = Optional(present=False)


class TypeValue:
    """A type as a value."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeValue) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class Built(dict[str, Any]):
    """An object that an expression constructed: its fields, and the `kind` it was constructed as."""

    __slots__ = ("kind",)

    def __init__(self, kind: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.kind = kind


class Lazy(dict[str, Any]):
    """Named values that are made when they are first asked for: name → what makes it.

    What making one raises is raised each time it is asked for.
    """

    __slots__ = ("failed", "makers")

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__()
        self.makers, self.failed = makers, dict[str, EvaluationError]()

    def __missing__(self, name: str) -> Any:
        if name in self.failed:
            raise self.failed[name]
        try:
            found = self.makers[name]()
        except EvaluationError as error:
            self.failed[name] = error
            raise
        self[name] = found
        return found


class SetList(list[Any]):
    """A list that is a set (`x-kubernetes-list-type: set`): order does not matter to equality and `+`."""

    __slots__ = ()


class MapList(list[Any]):
    """A list whose items have keys (`x-kubernetes-list-type: map`): order does not matter to equality and `+`."""

    __slots__ = ("keys",)

    def __init__(self, items: list[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys


_NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    dict: "map",
    SetList: "list",
    MapList: "list",
    Lazy: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    Optional: "optional_type",
    TypeValue: "type",
}


def type_name(value: Any) -> str:
    """The name of a value's type."""
    known = _NAMES.get(type(value))
    return known if known is not None else str(value.kind)


def no_overload(name: str = "", *values: Any) -> EvaluationError:
    """Nothing is known to do with such values."""
    if not name:
        return EvaluationError("no such overload")
    return EvaluationError(f"no such overload: {name}({', '.join(type_name(value) for value in values)})")
