"""The types of the API as the committed tables describe them: fields, their shapes, and what becomes of empty ones.

Input: the name of a type (`core.v1.PodSpec`), or an `apiVersion` and kind. Output: a `TypeInfo`, made once and shared;
nothing here changes after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from knarr.api.tables.load import exists, load
from knarr.apimachinery.gvk import parse_api_version

#: What an absent (or empty) field becomes: it is left out, written as its zero value, or written as null.
OMIT, ZERO, NULL = "omit", "zero", "null"

#: Kinds of shapes whose JSON is a plain scalar, with Go's names.
SCALARS = {
    "string": "string",
    "boolean": "bool",
    "int32": "int32",
    "int64": "int64",
    "double": "float64",
    "bytes": "[]uint8",
}
#: Types that decode themselves: their kind here, and Go's name.
SPECIAL = {
    "machinery.api.resource.Quantity": ("quantity", "resource.Quantity"),
    "machinery.util.intstr.IntOrString": ("int_or_string", "intstr.IntOrString"),
    "machinery.runtime.RawExtension": ("raw", "runtime.RawExtension"),
    "meta.v1.Time": ("time", "v1.Time"),
    "meta.v1.MicroTime": ("micro_time", "v1.MicroTime"),
    "meta.v1.FieldsV1": ("raw", "v1.FieldsV1"),
    "apiextensions.v1.JSON": ("raw", "v1.JSON"),
    "apiextensions.v1.JSONSchemaPropsOrBool": ("schema_or_bool", "v1.JSONSchemaPropsOrBool"),
    "apiextensions.v1.JSONSchemaPropsOrArray": ("schema_or_list", "v1.JSONSchemaPropsOrArray"),
    "apiextensions.v1.JSONSchemaPropsOrStringArray": ("schema_or_strings", "v1.JSONSchemaPropsOrStringArray"),
}
SCHEMA = "apiextensions.v1.JSONSchemaProps"
#: Kinds of values that count as empty when they are zero, unless they are behind a pointer.
_EMPTY_WHEN_ZERO = frozenset({*SCALARS, "list", "map"})


@dataclass(frozen=True, eq=False)
class Shape:
    """The shape of one value.

    `kind` is `struct`, `list`, `map`, `raw` (any JSON), one of `SCALARS`, or a kind of `SPECIAL`. `item` is the shape
    of a list's items or a map's values; `struct` the name of a struct; `go` how Go spells the type.
    """

    kind: str
    go: str
    item: Shape | None = None
    struct: str = ""

    @cached_property
    def info(self) -> TypeInfo:
        """The type of a struct."""
        return named(self.struct)


@dataclass(frozen=True, eq=False)
class FieldInfo:
    """One field of a struct.

    `empty` says what becomes of an absent value (`OMIT`, `ZERO`, `NULL`); `drops_zero` that a zero value counts as
    absent. `list_type` (`atomic`, `set`, `map`) with `keys`, and `map_type` are for apply; `patch_strategy` and
    `merge_key` for strategic merge patches. `default` is the schema's default, `...` where there is none. `go` is the
    name Go's errors use: with that of the embedded struct the field belongs to.
    """

    name: str
    shape: Shape
    empty: str = OMIT
    drops_zero: bool = False
    required: bool = False
    list_type: str = ""
    keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategy: str = ""
    merge_key: str = ""
    default: Any = ...
    go: str = ""

    def zero(self) -> Any:
        """What is written for an absent value where `empty` is `ZERO`: a fresh value."""
        return None if self.empty is NULL else zero_value(self.shape)


@dataclass(frozen=True, eq=False)
class TypeInfo:
    """One struct: its name in the tables, Go's spelling, its fields in Go's order, and whether apply sees it as one."""

    name: str
    go: str
    fields: Mapping[str, FieldInfo]
    atomic: bool = False

    @cached_property
    def go_name(self) -> str:
        """The name without the package."""
        return self.go.rpartition(".")[2]

    @cached_property
    def written(self) -> tuple[FieldInfo, ...]:
        """The fields that are written though absent."""
        return tuple(field for field in self.fields.values() if field.empty is not OMIT)

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """The place of each field among all."""
        return {name: at for at, name in enumerate(self.fields)}


def zero_value(shape: Shape) -> Any:
    """A fresh zero of a shape, as JSON."""
    if shape.kind == "struct":
        return {field.name: field.zero() for field in shape.info.written}
    return _ZEROS.get(shape.kind)


_ZEROS: dict[str, Any] = {
    "string": "",
    "boolean": False,
    "int32": 0,
    "int64": 0,
    "double": 0,
    "quantity": "0",
    "int_or_string": 0,
}


def of_kind(api_version: str, kind: str) -> TypeInfo | None:
    """The type of a kind's objects, or `None` when no such kind is built in."""
    found = _kinds.get((api_version, kind))
    if found is None:
        found = _of_kind(api_version, kind)
        if found is not None:
            _kinds[api_version, kind] = found
    return found


#: What was found: only kinds that there are, for clients may ask for any.
_kinds: dict[tuple[str, str], TypeInfo] = {}


def _of_kind(api_version: str, kind: str) -> TypeInfo | None:
    group, version = parse_api_version(api_version)
    for package in (_package_of(group, version), "meta.v1"):
        row = _package(package).get(kind)
        if row is not None and _is_kind(row, group, version, kind):
            return named(f"{package}.{kind}")
    return None


def named(name: str) -> TypeInfo:
    """The type of that name in the tables. Raises `KeyError`."""
    return _named(name)


@cache
def _named(name: str) -> TypeInfo:
    package, _, kind = name.rpartition(".")
    row = _package(package)[kind]
    fields = {field: _field(field, package, *entry) for field, entry in row.get("fields", {}).items()}
    return TypeInfo(name, _go_name(name), fields, row.get("x-kubernetes-map-type") == "atomic")


def _package_of(group: str, version: str) -> str:
    head = group.partition(".")[0] or "core"
    return f"{'apiserverinternal' if group == 'internal.apiserver.k8s.io' else head}.{version}"


def _package(package: str) -> Mapping[str, Any]:
    # What does not exist is not remembered: clients may ask for any name.
    path = f"types/{package}.json"
    return _table(path) if exists(path) else {}


@cache
def _table(path: str) -> Mapping[str, Any]:
    table: Mapping[str, Any] = load(path)
    return table


def _is_kind(row: Mapping[str, Any], group: str, version: str, kind: str) -> bool:
    return row.get("kind") in ([group, version, kind], ["*", "*", kind])


def _go_name(name: str) -> str:
    return ".".join(name.rsplit(".", 2)[1:])


def _field(name: str, package: str, text: str, flags: Mapping[str, Any] | None = None) -> FieldInfo:
    flags = flags or {}
    shape = _shape(text, _spelled(flags.get("go", ""), package))
    pointer = bool(flags.get("pointer"))
    return FieldInfo(
        name=name,
        shape=shape,
        empty=_empty(shape, flags, pointer=pointer),
        drops_zero=shape.kind in _EMPTY_WHEN_ZERO and not pointer,
        required=bool(flags.get("required")),
        list_type=flags.get("list", ""),
        keys=tuple(flags.get("keys", ())),
        map_type=flags.get("map", ""),
        patch_strategy=flags.get("patch", ""),
        merge_key=flags.get("merge", ""),
        default=flags.get("default", ...),
        go=f"{flags['inline']}.{name}" if "inline" in flags else name,
    )


def _spelled(go: str, package: str) -> str:
    return package.rpartition(".")[2] + go if go.startswith(".") else go


def _empty(shape: Shape, flags: Mapping[str, Any], *, pointer: bool) -> str:
    """What Go writes for an empty field: its zero, null (a nil pointer, slice, map or time), or nothing."""
    if flags.get("omitted"):
        return OMIT
    required, written = bool(flags.get("required")), bool(flags.get("written"))
    if shape.kind == "struct":
        return ZERO if flags.get("default") == {} else (NULL if required or written else OMIT)
    if shape.kind in SCALARS and shape.kind != "bytes":
        if pointer:
            return NULL if required or written else OMIT
        zero = "default" in flags and not flags["default"]
        return ZERO if zero or written else OMIT
    if shape.kind in ("quantity", "int_or_string"):
        return ZERO if required or written else OMIT
    return NULL if required or written else OMIT


def _shape(text: str, go: str) -> Shape:
    """The shape that a type's text stands for; `go` is its spelling where it has one of its own."""
    for mark, kind, spelling in (("[]", "list", "[]"), ("{}", "map", "map[string]")):
        if text.startswith(mark):
            item = _shape(text[2:], _item_spelling(go))
            return Shape(kind, go or spelling + item.go, item)
    if text in SCALARS:
        return Shape(text, go or SCALARS[text])
    if text in SPECIAL:
        kind, spelling = SPECIAL[text]
        return Shape(kind, go or spelling)
    if text == "object":
        return Shape("raw", go or "map[string]interface {}")
    return Shape("struct", go or _go_name(text), struct=text)


def _item_spelling(go: str) -> str:
    if go.startswith("[]"):
        return go[2:]
    return go.partition("]")[2] if go.startswith("map[") else ""
