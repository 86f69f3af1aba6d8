"""Whether a value surely fits its schema: the quick half of validation, made of closures on first use.

What is not surely fine is judged by `causes`. A checker holds a closure for each place that was looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from knarr.api.structural import formats
from knarr.api.structural.causes import fits, format_of, in_enum, types_of, unique
from knarr.api.structural.numbers import is_multiple, out_of_range
from knarr.apimachinery import go_regex
from knarr.apimachinery.types import Object

Check = Callable[[Any], bool]

_NULL = type(None)
_CLASSES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_ALL = (dict, list, str, bool, int, float)
_BOUNDS = ("minimum", "maximum", "multipleOf")
_INT64 = 1 << 63


def checker(schema: Object) -> Check:
    """A function that says True of values that surely fit the schema."""
    whole = _whole(schema)
    found = {kind: _all([*_BY_CLASS[kind](schema), *whole]) for kind in _classes(schema)}
    if (schema.get("nullable") or not types_of(schema)) and not schema.get("enum"):
        found[_NULL] = None
    if len(found) != 1:
        return partial(_of_kinds, found)
    ((kind, check),) = found.items()
    if check is None:
        return lambda value: type(value) is kind
    return lambda value: type(value) is kind and check(value)


def _of_kinds(checks: dict[type, Check | None], value: Any) -> bool:
    kind = type(value)
    if kind not in checks:
        return False
    check = checks[kind]
    return check is None or check(value)


def _classes(schema: Object) -> list[type]:
    """The Python types of values that may fit, null left out."""
    types = types_of(schema)
    return [kind for name in types for kind in _CLASSES.get(name, ())] if types else list(_ALL)


def _all(checks: list[Check]) -> Check | None:
    if len(checks) < 2:
        return checks[0] if checks else None
    every = tuple(checks)

    def check_all(value: Any) -> bool:
        for check in every:  # noqa: SIM110 - a generator costs more than most checks
            if not check(value):
                return False
        return True

    return check_all


def _whole(schema: Object) -> list[Check]:
    """What is asked of a value whatever its type."""
    checks: list[Check] = []
    enum = schema.get("enum")
    if enum:
        # Only texts are compared quickly: they equal nothing else.
        texts = all(type(one) is str for one in enum)
        checks.append(frozenset(enum).__contains__ if texts else partial(in_enum, enum))
    if schema.get("anyOf"):
        any_of = tuple(checker(inner) for inner in schema["anyOf"])
        checks.append(lambda value: any(check(value) for check in any_of))
    checks += [checker(inner) for inner in schema.get("allOf") or ()]
    exact = {name: schema[name] for name in ("oneOf", "not") if schema.get(name)}
    if exact:
        # What surely fits does not tell of what surely does not.
        checks.append(partial(fits, exact))
    return checks


def _strings(schema: Object) -> list[Check]:
    checks: list[Check] = []
    least, most, pattern, form = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern"), ""
    if most is not None:
        checks.append(lambda value: len(value) <= most)
    if least:
        checks.append(lambda value: len(value) >= least)
    if pattern:
        checks.append(go_regex.quick(pattern))
    form = format_of(schema)
    if form and form not in formats.NUMERIC:
        checks.append(partial(formats.fits, form))
    return checks


def _numbers(schema: Object) -> list[Check]:
    types, form = types_of(schema), format_of(schema)
    # Of a value that may have several types the range is nobody's.
    kind = types[0] if len(types) == 1 else ""
    given = {name: schema[name] for name in _BOUNDS if schema.get(name) is not None}
    if any(out_of_range(bound, kind, form) for bound in given.values()):
        return [lambda _value: False]
    checks: list[Check] = []
    if any(bound != int(bound) for bound in given.values()):
        # Integers are compared with the whole part alone: that is not for a quick look.
        checks.append(lambda value: type(value) is float)
    if kind == "integer" or form:
        checks.append(partial(_in_range, kind, form) if form else lambda value: -_INT64 <= value < _INT64)
    low, high, factor = given.get("minimum"), given.get("maximum"), given.get("multipleOf")
    if low is not None:
        checks.append((lambda value: value > low) if schema.get("exclusiveMinimum") else lambda value: value >= low)
    if high is not None:
        checks.append((lambda value: value < high) if schema.get("exclusiveMaximum") else lambda value: value <= high)
    if factor is not None:
        checks.append(lambda value: is_multiple(value, factor))
    return checks


def _in_range(kind: str, form: str, value: float) -> bool:
    return not out_of_range(value, kind, form)


def _lists(schema: Object) -> list[Check]:
    checks: list[Check] = []
    least, most, items = schema.get("minItems"), schema.get("maxItems"), schema.get("items")
    if least:
        checks.append(lambda value: len(value) >= least)
    if most is not None:
        checks.append(lambda value: len(value) <= most)
    if schema.get("uniqueItems"):
        checks.append(unique)
    if isinstance(items, dict):
        item = checker(items)
        checks.append(lambda value: all(map(item, value)))
    return checks


def _objects(schema: Object) -> list[Check]:
    checks: list[Check] = []
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least:
        checks.append(lambda value: len(value) >= least)
    if most is not None:
        checks.append(lambda value: len(value) <= most)
    required = frozenset(schema.get("required") or ())
    if required:
        checks.append(lambda value: required <= value.keys())
    if schema.get("properties") or schema.get("additionalProperties") not in (None, True):
        checks.append(_Members(schema))
    return checks


def _nothing(_schema: Object) -> list[Check]:
    return []


_BY_CLASS: dict[type, Callable[[Object], list[Check]]] = {
    dict: _objects,
    list: _lists,
    str: _strings,
    bool: _nothing,
    int: _numbers,
    float: _numbers,
}


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
