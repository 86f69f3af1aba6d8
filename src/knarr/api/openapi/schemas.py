"""Schemas of types: the tables turned back into OpenAPI.

Names: a table's `core.v1.Pod` is `io.k8s.api.core.v1.Pod` in documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from knarr.api.openapi import custom
from knarr.api.tables.load import load

_FOLDER = Path(__file__).parent.parent / "tables" / "types"
_REF = "#/components/schemas/"
_PREFIXES = (
    ("machinery.", "io.k8s.apimachinery.pkg."),
    ("meta.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1."),
    ("apiextensions.", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions."),
    ("apiregistration.", "io.k8s.kube-aggregator.pkg.apis.apiregistration."),
    ("version.", "io.k8s.apimachinery.pkg.version."),
)
_SCALARS: Mapping[str, Mapping[str, str]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "object": {"type": "object"},
}
_FLAGS = (
    ("list", "x-kubernetes-list-type"),
    ("keys", "x-kubernetes-list-map-keys"),
    ("map", "x-kubernetes-map-type"),
    ("merge", "x-kubernetes-patch-merge-key"),
    ("patch", "x-kubernetes-patch-strategy"),
)


def full_name(name: str) -> str:
    """The name of a type in documents."""
    if name.startswith(custom.MARK):
        return name.removeprefix(custom.MARK)
    for short, long in _PREFIXES:
        if name.startswith(short):
            return long + name.removeprefix(short)
    return "io.k8s.api." + name


def short_name(reference: str) -> str:
    """The table name of a type that a document refers to. Raises `KeyError`."""
    return _short_names()[reference.removeprefix(_REF)]


@cache
def _short_names() -> Mapping[str, str]:
    return {full_name(name): name for name in _types()}


def reference(name: str) -> dict[str, str]:
    """`{"$ref": …}` to a type by its table name."""
    return {"$ref": _REF + full_name(name)}


def type_named(group: str, version: str, kind: str) -> str | None:
    """The table name of a kind, or None."""
    return _kinds().get((group, version, kind))


def closure(names: Iterable[str]) -> list[tuple[str, str]]:
    """Types and all they refer to: (name, full name), in the order of documents."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = full_name(name)
            waiting += custom.REFERENCES if name.startswith(custom.MARK) else _references(_types()[name])
    return sorted(found.items(), key=itemgetter(1))


def schema(name: str, kinds: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """One type's schema, without descriptions. `kinds`: the group-versions that share kinds such as DeleteOptions."""
    out: dict[str, Any] = {}
    row = _types()[name]
    for key, value in row.items():
        if key == "fields":
            out["properties"] = {name: _field(*field) for name, field in sorted(value.items())}
            required = row.get("order") or [name for name, field in value.items() if _required(*field)]
            if required:
                out["required"] = required
        elif key == "kind":
            group, version, kind = value
            of = kinds if group == "*" else [(group, version)]
            out["x-kubernetes-group-version-kind"] = [_gvk(group, version, kind) for group, version in of]
        elif key in ("type", "format", "oneOf") or key.startswith("x-"):
            out[key] = value
    return out


def _gvk(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "kind": kind, "version": version}


def _required(_kind: str, flags: Mapping[str, Any] | None = None) -> bool:
    return bool(flags and flags.get("required"))


def _field(kind: str, flags: Mapping[str, Any] | None = None) -> dict[str, Any]:
    flags = flags or {}
    bare = "bare" in flags and "default" not in flags
    out: dict[str, Any] = {"allOf": [reference(kind)]} if _is_reference(kind) and not bare else _shape(kind)
    if "default" in flags:
        out["default"] = flags["default"]
    out.update({name: flags[flag] for flag, name in _FLAGS if flag in flags})
    return out


def _shape(kind: str) -> dict[str, Any]:
    if kind.startswith("[]"):
        return {"type": "array", "items": _shape(kind[2:])}
    if kind.startswith("{}"):
        return {"type": "object", "additionalProperties": _shape(kind[2:])}
    return dict(_SCALARS[kind]) if kind in _SCALARS else dict(reference(kind))


def _is_reference(kind: str) -> bool:
    return not kind.startswith(("[]", "{}")) and kind not in _SCALARS


def _references(row: Mapping[str, Any]) -> Iterator[str]:
    for field in row.get("fields", {}).values():
        name = field[0]
        while name.startswith(("[]", "{}")):
            name = name[2:]
        if name not in _SCALARS:
            yield name


def shared_kinds() -> list[tuple[str, str]]:
    """Every group-version that kinds such as DeleteOptions belong to."""
    return [(group, version) for group, version in _types()["meta.v1.DeleteOptions"]["versions"]]


@cache
def digest() -> bytes:
    """Changes with the tables, so that clients which keep documents by their hash ask for new ones."""
    files = sorted(_FOLDER.glob("*.json"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).digest()


@cache
def _types() -> dict[str, dict[str, Any]]:
    return {
        f"{path.stem}.{kind}": row
        for path in _FOLDER.glob("*.json")
        for kind, row in load(f"types/{path.name}").items()
    }


@cache
def _kinds() -> dict[tuple[str, str, str], str]:
    return {tuple(row["kind"]): name for name, row in _types().items() if "kind" in row}
