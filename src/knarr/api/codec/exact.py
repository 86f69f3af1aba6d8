"""Decoding step by step, with Go's words for whatever is wrong.

Input: a parsed JSON value (`json_text` gives all pairs of an object; a plain dict is fine too) and the type it should
be. Output: the canonical object, and the complaints of strict decoding in the order Go finds them. Go goes on after a
wrong type and reports the first one; a value that decodes itself (a quantity, a time) ends decoding at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from knarr.api.codec.json_text import Pairs, Real, plain
from knarr.api.codec.types import SCHEMA, ZERO, FieldInfo, Shape, TypeInfo, named, zero_value
from knarr.api.codec.values import TIMES, base64_text, quantity
from knarr.apimachinery.types import Object

#: Go stops collecting complaints after so many.
_MOST_PROBLEMS = 100
_INT_LIMITS = {"int32": 1 << 31, "int64": 1 << 63}
_ABSENT: Any = object()
#: Values that are never nil (unless behind a pointer, which is the same for an absent one).
_KEPT_BY_NULL = frozenset({"string", "boolean", "int32", "int64", "double"})


#: Where a value stands: its parent's place, its part of the path (`spec`, `[0]`, a map's key), and for a field the name
#: Go gives it and that of its struct. A plain tuple, since there is one a value.
Place: TypeAlias = tuple[Any, str, str, str]


def read(info: TypeInfo, value: Any) -> tuple[Object, tuple[str, ...]]:
    """The canonical object and strict decoding's complaints. Raises `ValueError` with Go's text."""
    reader = _Reader()
    out = reader.top(info, value)
    if reader.fault is not None:
        raise ValueError(reader.fault)
    return out, tuple(reader.problems)


class _Reader:
    def __init__(self) -> None:
        #: Used as an ordered set.
        self.problems: dict[str, None] = {}
        self.fault: str | None = None

    def top(self, info: TypeInfo, value: Any, place: Place | None = None) -> Object:
        shape = Shape("struct", info.go, struct=info.name)
        out = zero_value(shape) if value is None else self.value(shape, value, place)
        return {} if out is _ABSENT else out

    def value(self, shape: Shape, value: Any, place: Place | None) -> Any:
        """The canonical value, `_ABSENT` for one of a wrong type."""
        return _READERS[shape.kind](self, shape, value, place)

    def struct(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if type(value) is not dict and type(value) is not Pairs:
            return self._mismatch(shape, value, place)
        found: Object = {}
        self._members(shape.info, value, place, found)
        return _filled(shape.info, found)

    def _members(self, info: TypeInfo, value: Any, place: Place | None, found: Object) -> None:
        fields, struct = info.fields, info.go_name
        seen: set[str] = set()
        for name, item in _pairs(value):
            field = fields.get(name)
            if field is None:
                self._complain("unknown", (place, name, "", ""))
                continue
            here = (place, name, field.go, struct)
            if name in seen:
                self._complain("duplicate", here)
            seen.add(name)
            self._member(field, item, here, found)

    def _member(self, field: FieldInfo, item: Any, here: Place, found: Object) -> None:
        if item is None:
            # Null clears what can be nil, and leaves other values as they are.
            if field.empty is not ZERO and field.shape.kind not in _KEPT_BY_NULL:
                found.pop(field.name, None)
            return
        if field.shape.kind == "struct" and field.name in found and isinstance(item, dict | Pairs):
            # A repeated object goes into what the first one left.
            item = Pairs([*_pairs(found[field.name]), *_pairs(item)])
        shape = field.shape
        plain_type = _PYTHON.get(shape.kind)
        result = item if type(item) is plain_type else _READERS[shape.kind](self, shape, item, here)
        if result is _ABSENT:
            return
        if field.drops_zero and not result:
            found.pop(field.name, None)
        else:
            found[field.name] = result

    def list(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if not isinstance(value, list) or isinstance(value, Pairs):
            return self._mismatch(shape, value, place)
        item = _item_shape(shape)
        return list(self._items(item, ((f"[{at}]", entry) for at, entry in enumerate(value)), place).values())

    def map(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if not isinstance(value, dict | Pairs):
            return self._mismatch(shape, value, place)
        if isinstance(value, Pairs):
            self._repeated(value, place)
        return self._items(_item_shape(shape), _pairs(value), place)

    def _items(self, item: Shape, entries: Iterable[tuple[str, Any]], place: Place | None) -> Object:
        out: Object = {}
        plain_type = _PYTHON.get(item.kind)
        for key, entry in entries:
            if type(entry) is plain_type:
                out[key] = entry
                continue
            result = zero_value(item) if entry is None else self.value(item, entry, (place, key, "", ""))
            if result is not _ABSENT:
                out[key] = result
        return out

    def _repeated(self, value: Pairs, place: Place | None) -> None:
        seen: set[str] = set()
        for key, _ in value:
            if key in seen:
                self._complain("duplicate", (place, key, "", ""))
            seen.add(key)

    def scalar(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if type(value) is _PYTHON[shape.kind]:
            return value
        return self._mismatch(shape, value, place)

    def integer(self, shape: Shape, value: Any, place: Place | None) -> Any:
        limit = _INT_LIMITS[shape.kind]
        if type(value) is int and -limit <= value < limit:
            return value
        if type(value) in (int, float, Real):
            return self._wrong(f"number {_number_text(value)}", shape.go, place)
        return self._mismatch(shape, value, place)

    def double(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if type(value) in (int, float, Real):
            return int(value) if type(value) is int else _short(float(value))
        return self._mismatch(shape, value, place)

    def bytes(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if not isinstance(value, str):
            return self._mismatch(shape, value, place)
        try:
            return base64_text(value)
        except ValueError as fault:
            self.fault = self.fault or str(fault)
            return _ABSENT

    def quantity(self, _shape: Shape, value: Any, _place: Place | None) -> Any:
        if isinstance(value, Real):
            return quantity(value.text)
        if isinstance(value, str) or type(value) in (int, float):
            return quantity(value)
        return quantity("?")

    def time(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if not isinstance(value, str):
            raise ValueError(_unmarshal(kind_of(value), "string", place))
        return TIMES[shape.kind](value)

    def int_or_string(self, _shape: Shape, value: Any, place: Place | None) -> Any:
        limit = _INT_LIMITS["int32"]
        if isinstance(value, str) or (type(value) is int and -limit <= value < limit):
            return value
        number = type(value) in (int, float, Real)
        what = f"number {_number_text(value)}" if number else kind_of(value)
        raise ValueError(_unmarshal(what, "int32", place))

    def raw(self, _shape: Shape, value: Any, _place: Place | None) -> Any:
        return value if type(value) is dict else plain(value)

    def schema_or_bool(self, _shape: Shape, value: Any, place: Place | None) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, dict | Pairs):
            return _schema(value, place)
        raise ValueError("boolean or JSON schema expected")

    def schema_or_list(self, _shape: Shape, value: Any, place: Place | None) -> Any:
        if isinstance(value, dict | Pairs):
            return _schema(value, place)
        if isinstance(value, list):
            return [_schema(item, place) for item in value]
        return _ABSENT

    def schema_or_strings(self, shape: Shape, value: Any, place: Place | None) -> Any:
        if isinstance(value, list) and not isinstance(value, Pairs):
            return self.list(Shape("list", "[]string", Shape("string", "string")), value, place)
        return self.schema_or_list(shape, value, place)

    def _mismatch(self, shape: Shape, value: Any, place: Place | None) -> Any:
        return self._wrong(kind_of(value), shape.go, place)

    def _wrong(self, what: str, go: str, place: Place | None) -> Any:
        if self.fault is None:
            self.fault = _unmarshal(what, go, place)
        return _ABSENT

    def _complain(self, what: str, place: Place) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems[f'{what} field "{_path(place)}"'] = None


def _schema(value: Any, place: Place | None) -> Any:
    """A schema inside a type that decodes itself: strict decoding does not look into it."""
    reader = _Reader()
    out = reader.top(named(SCHEMA), value, place)
    if reader.fault is not None:
        raise ValueError(reader.fault)
    return out


_PYTHON = {"string": str, "boolean": bool}
_READERS: dict[str, Callable[[_Reader, Shape, Any, Place | None], Any]] = {
    "struct": _Reader.struct,
    "list": _Reader.list,
    "map": _Reader.map,
    "string": _Reader.scalar,
    "boolean": _Reader.scalar,
    "int32": _Reader.integer,
    "int64": _Reader.integer,
    "double": _Reader.double,
    "bytes": _Reader.bytes,
    "quantity": _Reader.quantity,
    "time": _Reader.time,
    "micro_time": _Reader.time,
    "int_or_string": _Reader.int_or_string,
    "raw": _Reader.raw,
    "schema_or_bool": _Reader.schema_or_bool,
    "schema_or_list": _Reader.schema_or_list,
    "schema_or_strings": _Reader.schema_or_strings,
}


def _filled(info: TypeInfo, found: Object) -> Object:
    """The struct's fields in order, with those that are always written."""
    for field in info.written:
        if field.name not in found:
            found[field.name] = field.zero()
    return {name: found[name] for name in sorted(found, key=info.rank.__getitem__)}


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    return iter(value.items()) if isinstance(value, dict) else iter(value)


def _item_shape(shape: Shape) -> Shape:
    assert shape.item is not None
    return shape.item


def _short(number: float) -> float | int:
    """As Go writes it: without a point where there is no fraction."""
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _number_text(value: Any) -> str:
    return value.text if isinstance(value, Real) else str(value)


def kind_of(value: Any) -> str:
    """What Go calls the kind of a JSON value."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "object" if isinstance(value, dict | Pairs) else "array"


def _unmarshal(what: str, go: str, place: Place | None) -> str:
    names: list[str] = []
    innermost = ""
    while place is not None:
        parent, _, name, struct = place
        if struct:
            innermost = innermost or struct
            names.append(name)
        place = parent
    where = f"struct field {innermost}.{'.'.join(reversed(names))}" if innermost else "value"
    return f"json: cannot unmarshal {what} into Go {where} of type {go}"


def _path(place: Place | None) -> str:
    parts: list[str] = []
    while place is not None:
        text = place[1]
        parts.append(text if text.startswith("[") else f".{text}")
        place = place[0]
    return "".join(reversed(parts)).removeprefix(".")
