"""Field errors: what validation says about one field.

A path is a plain string (`spec.containers[0].name`, `metadata.labels[a/b]`). Texts follow
k8s.io/apimachinery/pkg/util/validation/field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

_HEADS = {
    "FieldValueRequired": "Required value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueNotFound": "Not found",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueTypeInvalid": "Invalid value",
    "InternalError": "Internal error",
}
#: The value of an error whose message shows none.
OMITTED: Any = object()
_WITHOUT_VALUE = frozenset({"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"})


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause of a 422: `reason` as in `StatusCause`, the field's path, its value and a sentence."""

    reason: str
    field: str
    value: Any = None
    detail: str = ""

    def body(self) -> str:
        """The message of the cause, without the path."""
        head = _HEADS[self.reason]
        if self.value is OMITTED:
            return f"{head}: {self.detail}"
        if self.reason not in _WITHOUT_VALUE:
            head = f"{head}: {show(self.value)}"
        return f"{head}: {self.detail}" if self.detail else head

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"


class Bare(str):
    """A value that messages show without quotes: what Go prints by itself."""

    __slots__ = ()


def show(value: Any) -> str:
    """A bad value as messages print it: strings quoted, objects as JSON, `null` for none."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return str(value) if isinstance(value, Bare) else quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return _GO_HTML.sub(_escaped, orjson.dumps(value).decode())


#: What Go's JSON encoder escapes.
_GO_HTML = re.compile("[<>&]")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def quote(text: str) -> str:
    """A string in double quotes with Go's `%q` escapes."""
    out = ['"']
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char.isprintable():
            out.append(char)
        elif ord(char) < 0x80:
            out.append(f"\\x{ord(char):02x}")
        elif ord(char) < 0x10000:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(f"\\U{ord(char):08x}")
    return "".join(out) + '"'


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}


def required(path: str, detail: str = "") -> FieldError:
    """A value that must be given is missing."""
    return FieldError("FieldValueRequired", path, None, detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    """A value is malformed or out of range."""
    return FieldError("FieldValueInvalid", path, value, detail)


def duplicate(path: str, value: Any) -> FieldError:
    """A value that must be unique stands twice."""
    return FieldError("FieldValueDuplicate", path, value)


def not_found(path: str, value: Any) -> FieldError:
    """A value refers to something that is not there."""
    return FieldError("FieldValueNotFound", path, value)


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """A value is none of the known ones."""
    listed = ", ".join(quote(item) for item in supported)
    return FieldError("FieldValueNotSupported", path, value, f"supported values: {listed}" if listed else "")


def forbidden(path: str, detail: str) -> FieldError:
    """A value may not be set here."""
    return FieldError("FieldValueForbidden", path, None, detail)


def too_long(path: str, limit: int) -> FieldError:
    """A text has more than `limit` bytes."""
    return FieldError("FieldValueTooLong", path, None, f"may not be more than {limit} bytes")


def too_many(path: str, count: int, limit: int) -> FieldError:
    """A list has more than `limit` items."""
    noun = "item" if limit == 1 else "items"
    return FieldError("FieldValueTooMany", path, count, f"must have at most {limit} {noun}")


def internal(path: str, detail: str) -> FieldError:
    """A value that Kubernetes fails to make something of."""
    return FieldError("InternalError", path, None, detail)


def type_invalid(path: str, value: Any, detail: str) -> FieldError:
    """A value has the wrong type."""
    return FieldError("FieldValueTypeInvalid", path, value, detail)
