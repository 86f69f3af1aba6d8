"""Values that may be absent (cel-go's OptionalTypes, version 2), and entries of maps that comprehensions make."""

from __future__ import annotations

from typing import Any

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.registry import ANY, Library
from knarr.api.cel.values import NONE, Optional, TypeValue

library = Library()


@library.add("optional.of", ANY)
def _of(value: Any) -> Optional:
    return Optional(value)


@library.add("optional.ofNonZeroValue", ANY)
def _of_non_zero(value: Any) -> Optional:
    empty = value is None or (not isinstance(value, TypeValue) and not value)
    return NONE if empty else Optional(value)


@library.add("optional.none")
def _none() -> Optional:
    return NONE


@library.add("value", Optional)
def _value(found: Optional) -> Any:
    if not found.present:
        raise EvaluationError("optional.none() dereference")
    return found.value


@library.add("hasValue", Optional)
def _has_value(found: Optional) -> bool:
    return found.present


@library.add("optional.unwrap", list)
@library.add("unwrapOpt", list)
def _unwrap(items: list[Any]) -> list[Any]:
    return [item.value for item in items if item.present]


@library.add("first", list)
def _first(items: list[Any]) -> Optional:
    return Optional(items[0]) if items else NONE


@library.add("last", list)
def _last(items: list[Any]) -> Optional:
    return Optional(items[-1]) if items else NONE
