"""Types of expressions, written as CEL for Go writes them (`list(string)`, `map(string, dyn)`, `net.IP`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from knarr.apimachinery.types import Object


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object: its type, and what it is called in JSON (`foo-bar` for `foo__dash__bar`)."""

    type: Type
    name: str


@dataclass(frozen=True, slots=True)
class Type:
    """A type.

    `kind` is the type's own name for CEL's own types, else `opaque` (values of libraries), `object` (fields of known
    names) or `param` (a type not yet known); `name` is how the latter three are called. `find` gives the field of an
    object; `shape` is the JSON schema that a type was made of, `make` marks objects that expressions may construct.
    """

    kind: str
    name: str = ""
    params: tuple[Type, ...] = ()
    find: Callable[[str], Field | None] | None = field(default=None, compare=False, repr=False)
    shape: Object | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        shown = self.name or _OWN_NAMES.get(self.kind, self.kind)
        return f"{shown}({', '.join(map(str, self.params))})" if self.params else shown

    def text(self) -> str:
        """The type as messages of the checker have it; some types call themselves otherwise."""
        shown = self.name or self.kind
        return f"{shown}({', '.join(param.text() for param in self.params)})" if self.params else shown


_OWN_NAMES = {
    "null": "null_type",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
}
DYN, ERROR = Type("dyn"), Type("error", "!error!")
BOOL, INT, UINT, DOUBLE = Type("bool"), Type("int"), Type("uint"), Type("double")
STRING, BYTES, NULL = Type("string"), Type("bytes"), Type("null")
TIMESTAMP, DURATION = Type("timestamp"), Type("duration")
TYPE = Type("type")
SIMPLE = {kind.kind: kind for kind in (DYN, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION, TYPE)}
SIMPLE |= {"null_type": NULL}
#: Short names of libraries' types, as declarations use them.
OPAQUE = {
    "Quantity": "kubernetes.Quantity",
    "URL": "kubernetes.URL",
    "IP": "net.IP",
    "CIDR": "net.CIDR",
    "Semver": "kubernetes.Semver",
    "Format": "kubernetes.NamedFormat",
    "Authorizer": "kubernetes.authorization.Authorizer",
    "PathCheck": "kubernetes.authorization.PathCheck",
    "GroupCheck": "kubernetes.authorization.GroupCheck",
    "ResourceCheck": "kubernetes.authorization.ResourceCheck",
    "Decision": "kubernetes.authorization.Decision",
}
_FULL = frozenset(OPAQUE.values())
#: Types that expressions may name.
NAMED = {kind.kind: kind for kind in (BOOL, BYTES, DOUBLE, INT, STRING, TYPE, UINT)}
NAMED |= {"null_type": NULL, "google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION}
NAMED |= {name: Type("opaque", name) for name in _FULL}
NAMED |= {"list": Type("list", params=(DYN,)), "map": Type("map", params=(DYN, DYN))}
NAMED["optional_type"] = Type("opaque", "optional_type", (DYN,))


def list_of(item: Type) -> Type:
    """A list of such items."""
    return Type("list", params=(item,))


def map_of(key: Type, value: Type) -> Type:
    """A map of such keys and values."""
    return Type("map", params=(key, value))


def optional_of(value: Type) -> Type:
    """A value that may be absent."""
    return Type("opaque", "optional_type", (value,))


def type_of(value: Type) -> Type:
    """The type of a type."""
    return Type("type", params=(value,))


def param(name: str) -> Type:
    """A type to be found out."""
    return Type("param", name)


def is_optional(kind: Type) -> bool:
    """Whether values of the type may be absent."""
    return kind.kind == "opaque" and kind.name == "optional_type"


def object_type(name: str, fields: Mapping[str, Type]) -> Type:
    """An object whose fields have these names, in expressions as in JSON."""
    found = {key: Field(kind, key) for key, kind in fields.items()}
    return Type("object", name, find=found.get)


def parse(text: str) -> Type:
    """The type of a name: `string`, `list<string>`, `map<string, int>`, `Quantity`; one capital is a parameter."""
    text = text.strip().replace("(", "<").replace(")", ">")
    outer, _, inner = text.partition("<")
    if not inner:
        return _named(outer)
    parts = [parse(part) for part in split(inner[:-1])]
    if outer == "map" and len(parts) == 1:
        parts = [STRING, *parts]
    if outer == "optional":
        return optional_of(parts[0])
    return Type(outer, params=tuple(parts))


def _named(name: str) -> Type:
    if name == "list":
        return list_of(DYN)
    if name == "map":
        return map_of(DYN, DYN)
    if name in SIMPLE:
        return SIMPLE[name]
    if len(name) == 1 and name.isupper():
        return param(name)
    full = OPAQUE.get(name, name)
    return Type("opaque", full) if full in _FULL else DYN


def split(text: str) -> list[str]:
    """The parts between commas that are in no brackets."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "<") - (char == ">")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
