"""Whether a value surely fits its schema: the quick half of validation, made of closures on first use.

What is not surely fine is judged by `causes`. A checker holds a closure for each place that was looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.structural import formats
from knarr.api.structural.causes import format_of, in_enum, types_of, unique
from knarr.api.structural.numbers import is_multiple, out_of_range
from knarr.apimachinery import go_regex
from knarr.apimachinery.types import Object

Check = Callable[[Any], bool]

_JUNCTORS = ("anyOf", "oneOf", "allOf", "not")
_NULL = type(None)
_CLASSES: dict[str, frozenset[type]] = {
    "object": frozenset({dict}),
    "array": frozenset({list}),
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
}
_ALL = frozenset({dict, list, str, bool, int, float})
_NUMBERS = frozenset({int, float})
_OF_NUMBERS = ("minimum", "maximum", "multipleOf")


def checker(schema: Object) -> Check:
    """A function that says True of values that surely fit the schema."""
    classes = _classes(schema)
    checks = _checks(schema, classes)
    if not checks:
        return _of_class(classes)
    if len(checks) == 1:
        only = checks[0]
        return lambda value: type(value) in classes and (value is None or only(value))
    every = tuple(checks)
    return lambda value: type(value) in classes and (value is None or all(check(value) for check in every))


def _of_class(classes: frozenset[type]) -> Check:
    if len(classes) == 1:
        (one,) = classes
        return lambda value: type(value) is one
    return lambda value: type(value) in classes


def _classes(schema: Object) -> frozenset[type]:
    """The Python types of values that may fit."""
    types = types_of(schema)
    found = frozenset[type]().union(*(_CLASSES.get(name, frozenset[type]()) for name in types)) if types else _ALL
    if (schema.get("nullable") or not types) and not schema.get("enum"):
        found |= {_NULL}
    return found


def _checks(schema: Object, classes: frozenset[type]) -> list[Check]:
    checks: list[Check] = []
    if str in classes:
        checks += _of_strings(schema)
    if classes & _NUMBERS:
        checks += _of_numbers(schema)
    if list in classes:
        checks += _of_lists(schema)
    if dict in classes:
        checks += _of_objects(schema)
    if schema.get("enum"):
        checks.append(_enum(schema["enum"]))
    return checks + [_junctor(name, schema[name]) for name in _JUNCTORS if schema.get(name) not in (None, [])]


def _of_strings(schema: Object) -> list[Check]:
    checks: list[Check] = []
    least, most, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if least is not None:
        checks.append(lambda value: type(value) is not str or len(value) >= least)
    if most is not None:
        checks.append(lambda value: type(value) is not str or len(value) <= most)
    if pattern:
        checks.append(lambda value: type(value) is not str or go_regex.matches(pattern, value))
    form = format_of(schema)
    if form and form not in formats.NUMERIC:
        checks.append(lambda value: type(value) is not str or formats.fits(form, value))
    return checks


def _of_numbers(schema: Object) -> list[Check]:
    kind, form = "".join(types_of(schema)), format_of(schema)
    if form or any(schema.get(name) is not None for name in _OF_NUMBERS):
        return [lambda value: type(value) not in _NUMBERS or _number_fits(schema, kind, form, value)]
    return [lambda value: type(value) is not int or -(1 << 63) <= value < 1 << 63]


def _number_fits(schema: Object, kind: str, form: str, value: float) -> bool:
    least, most, factor = (schema.get(name) for name in _OF_NUMBERS)
    for bound in (least, most, factor):
        if bound is not None and out_of_range(bound, kind, form):
            return False
    if out_of_range(value, kind, form):
        return False
    if least is not None and (value < least or (value == least and schema.get("exclusiveMinimum"))):
        return False
    if most is not None and (value > most or (value == most and schema.get("exclusiveMaximum"))):
        return False
    return factor is None or is_multiple(value, factor)


def _of_lists(schema: Object) -> list[Check]:
    checks: list[Check] = []
    least, most, items = schema.get("minItems"), schema.get("maxItems"), schema.get("items")
    if least is not None:
        checks.append(lambda value: type(value) is not list or len(value) >= least)
    if most is not None:
        checks.append(lambda value: type(value) is not list or len(value) <= most)
    if schema.get("uniqueItems"):
        checks.append(lambda value: type(value) is not list or unique(value))
    if isinstance(items, dict):
        item = checker(items)
        checks.append(lambda value: type(value) is not list or all(map(item, value)))
    return checks


def _of_objects(schema: Object) -> list[Check]:
    checks: list[Check] = []
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least is not None:
        checks.append(lambda value: type(value) is not dict or len(value) >= least)
    if most is not None:
        checks.append(lambda value: type(value) is not dict or len(value) <= most)
    required = frozenset(schema.get("required") or ())
    if required:
        checks.append(lambda value: type(value) is not dict or required <= value.keys())
    if schema.get("properties") or schema.get("additionalProperties") not in (None, True):
        checks.append(_Members(schema))
    return checks


class _Members:
    """The members of an object: a check is made for each field that was there."""

    __slots__ = ("_checks", "_extra", "_properties")

    def __init__(self, schema: Object) -> None:
        extra = schema.get("additionalProperties")
        self._properties = schema.get("properties") or {}
        self._checks: dict[str, Check] = {}
        self._extra: Check | None = _never if extra is False else None
        if isinstance(extra, dict):
            self._extra = checker(extra)

    def __call__(self, value: Any) -> bool:
        if type(value) is not dict:
            return True
        checks, extra = self._checks, self._extra
        for name, item in value.items():
            check = checks.get(name)
            if check is None:
                if name in self._properties:
                    check = checks[name] = checker(self._properties[name])
                elif extra is None:
                    continue
                else:
                    check = extra
            if not check(item):
                return False
        return True


def _never(_value: Any) -> bool:
    return False


def _enum(known: list[Any]) -> Check:
    if all(type(one) is str for one in known):
        names = frozenset(known)
        return lambda value: type(value) is str and value in names
    return lambda value: in_enum(known, value)


def _junctor(name: str, below: Any) -> Check:
    if name == "not":
        # What surely fits does not tell of what surely does not.
        return _never
    checks = [checker(schema) for schema in below]
    if name == "anyOf":
        return lambda value: any(check(value) for check in checks)
    if name == "allOf":
        return lambda value: all(check(value) for check in checks)
    return _never
