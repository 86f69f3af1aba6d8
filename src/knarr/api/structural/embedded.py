"""Objects within objects (`x-kubernetes-embedded-resource`): their kind, version and metadata.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta.
"""

from __future__ import annotations

import re
from typing import Any

from knarr.api.codec import exact
from knarr.api.codec.types import named
from knarr.api.structural.causes import Errors
from knarr.api.structural.node import Node
from knarr.api.validation import meta, names
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_KEYWORD = "x-kubernetes-embedded-resource"
_METADATA = "meta.v1.ObjectMeta"
#: A map's member in a path of errors; strict decoding writes it as it writes fields.
_MEMBER = re.compile(r"\[(\D[^\]]*)\]")
_MIXED = "may have mixed case, but should otherwise match: "


def coerce(root: Node, obj: Object, *, lenient: bool = False) -> tuple[Object, list[str]]:
    """The object with canonical metadata in all objects within, and the paths of unknown fields of metadata.

    Raises `FieldFault` for what is no metadata; `lenient` drops that instead (of what was stored long ago).
    """
    unknown: list[str] = []
    if not root.has_below(_KEYWORD):
        return obj, unknown
    found: Object = _members(root, obj, "", unknown, lenient=lenient)
    return found, unknown


class FieldFault(ValueError):
    """A field that cannot be what it should: `error` says which."""

    def __init__(self, error: field.FieldError) -> None:
        super().__init__(str(error))
        self.error = error


def _coerced(node: Node, value: Any, path: str, unknown: list[str], *, lenient: bool) -> Any:
    if type(value) is list:
        items = node.items
        if items is None:
            return value
        return [_coerced(items, item, f"{path}[{at}]", unknown, lenient=lenient) for at, item in enumerate(value)]
    if type(value) is not dict or not node.has_below(_KEYWORD):
        return value
    given = _canonical(value, path, unknown, lenient=lenient) if node.embedded else value
    return _members(node, given, path, unknown, lenient=lenient)


def _members(node: Node, value: Object, path: str, unknown: list[str], *, lenient: bool) -> Object:
    out = dict(value)
    for name, item in value.items():
        if type(item) in (dict, list):
            child = node.field(name)
            below = f"{path}.{name}" if path else name
            if child is None:
                child, below = node.extra, f"{path}[{name}]"
            if child is not None:
                out[name] = _coerced(child, item, below, unknown, lenient=lenient)
    return out


def _canonical(value: Object, path: str, unknown: list[str], *, lenient: bool) -> Object:
    out = dict(value)
    for name in ("apiVersion", "kind"):
        if name in out and type(out[name]) is not str:
            if not lenient:
                raise FieldFault(field.invalid(f"{path}.{name}", out[name], "must be a string"))
            del out[name]
    if "metadata" in out:
        try:
            out["metadata"], complaints = _metadata(out["metadata"], lenient=lenient)
        except ValueError as error:
            raise FieldFault(field.invalid(f"{path}.metadata", out["metadata"], str(error))) from error
        place = _MEMBER.sub(r".\1", path)
        unknown += [f"{place}.metadata.{name}" for name in complaints]
    return out


def _metadata(given: Any, *, lenient: bool) -> tuple[Object, list[str]]:
    """Canonical metadata and its unknown fields. Raises `ValueError` with Go's text."""
    if lenient and type(given) is dict:
        kept = {name: item for name, item in given.items() if _is_good(name, item)}
        return exact.read(named(_METADATA), kept)[0], []
    if lenient and given is not None:
        return {}, []
    found, complaints = exact.read(named(_METADATA), given)
    return found, [text.split('"')[1] for text in complaints if text.startswith("unknown")]


def _is_good(name: str, item: Any) -> bool:
    try:
        exact.read(named(_METADATA), {name: item})
    except ValueError:
        return False
    return True


def faults(root: Node, obj: Object) -> Errors:
    """What is wrong with the objects within an object, itself left out."""
    errors: Errors = []
    if root.has_below(_KEYWORD):
        _below(errors, root, obj, "")
    return errors


def _below(errors: Errors, node: Node, value: Any, path: str) -> None:
    if type(value) is list:
        items = node.items
        for at, item in enumerate(value if items is not None else ()):
            if items is not None:
                _value(errors, items, item, f"{path}[{at}]")
        return
    for name, item in value.items():
        if type(item) in (dict, list):
            child = node.field(name)
            if child is not None:
                _value(errors, child, item, f"{path}.{name}" if path else name)
            elif node.extra is not None:
                _value(errors, node.extra, item, f"{path}[{name}]")


def _value(errors: Errors, node: Node, value: Any, path: str) -> None:
    if type(value) not in (dict, list) or not node.has_below(_KEYWORD):
        return
    if node.embedded and type(value) is dict:
        _check(errors, value, path)
    _below(errors, node, value, path)


def _check(errors: Errors, value: Object, path: str) -> None:
    for name in ("apiVersion", "kind"):
        here = f"{path}.{name}"
        if name in value and type(value[name]) is not str:
            errors.append(field.invalid(here, value[name], "must be a string"))
        elif not value.get(name):
            errors.append(field.required(here))
        else:
            errors += _name_faults(name, value[name], here)
    if value.get("metadata") is not None:
        given = value["metadata"] if type(value["metadata"]) is dict else {}
        # Objects within others need no name of their own.
        whole = given if given.get("name") else {**given, "name": "fakename"}
        namespaced = bool(given.get("namespace"))
        meta.check_create(errors, whole, namespaced=namespaced, name=names.path_segment, path=f"{path}.metadata")


def _name_faults(name: str, value: str, path: str) -> Errors:
    if name == "apiVersion":
        if value.count("/") > 1:
            return [field.invalid(path, value, f"unexpected GroupVersion string: {value}")]
        return []
    wrong = names.dns_1035_label(value.lower())
    return [field.invalid(path, value, _MIXED + ",".join(wrong))] if wrong else []
