"""Every fault of a value against its schema, as the real server words them.

This is the thorough, slow half: `validity` tells quickly that there is none. A value is checked by every keyword that
applies to its type; the number of checks that were made tells which of several alternatives came nearest.
Source: k8s.io/kube-openapi/pkg/validation/validate; apiextensions-apiserver, validation/{validation,ratcheting}.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from knarr.api.structural import formats, numbers
from knarr.api.structural.correlation import Correlation, same
from knarr.api.structural.node import Node
from knarr.apimachinery import field, go_regex
from knarr.apimachinery.field import Bare, FieldError
from knarr.apimachinery.types import Object

Errors = list[FieldError]

_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
_FORMATS_OF = {int: "int64", float: "float64"}
_INT64 = 1 << 63
_INTEGER_OR_STRING = ("integer", "string")
_NOWHERE = "<nil>"
_BOUNDS = {"multipleOf": "MultipleOf", "minimum": "Minimum boundary", "maximum": "Maximum boundary"}
_ANY = "must validate at least one schema (anyOf)"
_ONE = "must validate one and only one schema (oneOf)."
_ALL = "must validate all the schemas (allOf)"
_NOT = "must not validate the schema (not)"


def faults(node: Node, value: Any, *, old: Any = None, update: bool = False, prefix: str = "") -> Errors:
    """What is wrong with a value; of an update nothing that was there before, in a place that did not change.

    `prefix` is the path of the value, of which the sentences say nothing.
    """
    checker = _Checker(prefix)
    return checker.value(node.schema, value, "", Correlation(node, old, value) if update else None)[0]


def fits(schema: Object, value: Any) -> bool:
    """Whether a value fits a schema, as thoroughly."""
    return not _Checker("").restricted(schema, value, "", None)[0]


def types_of(schema: Object) -> tuple[str, ...]:
    """The types that a value may have; none where any is fine."""
    if schema.get("x-kubernetes-int-or-string"):
        return _INTEGER_OR_STRING
    return (schema["type"],) if schema.get("type") else ()


def format_of(schema: Object) -> str:
    """The format that a value must have, as far as it counts."""
    return formats.known(schema.get("format") or "")


def type_fault(schema: Object, value: Any) -> tuple[str, str] | None:
    """The type that a value should have and the one it has, where they do not fit."""
    types, form = types_of(schema), format_of(schema)
    if value is None:
        return (",".join(types), "null") if types and not schema.get("nullable") else None
    if not types and not form:
        return None
    actual, own = _type_and_format(value)
    numeric = "number" in types or "integer" in types
    fits = (
        actual in types
        or ("integer" in types and actual == "number" and numbers.is_whole(value))
        or ("number" in types and actual == "integer")
    )
    textual = type(value) in (str, list)
    if not textual and form and not fits and own != form:
        return form, own
    if form and textual and not numeric:
        # Go leaves these to the check of the format, which looks at strings alone.
        return None
    return None if fits else (",".join(types), actual)


def _type_and_format(value: Any) -> tuple[str, str]:
    """The type of a value and the format that goes with it; Go holds an integer of more than 64 bits as a float."""
    kind = float if type(value) is int and not -_INT64 <= value < _INT64 else type(value)
    return _TYPES[kind], _FORMATS_OF.get(kind, "")


def in_enum(known: Iterable[Any], value: Any) -> bool:
    """Whether a value is one of an enumeration; a null never is, and a number is brought to the type of each."""
    if value is None:
        return False
    for one in known:
        if same(one, value):
            return True
        if type(value) is float and type(one) is int and int(value) == one:
            return True
        if type(value) is int and type(one) is float and float(value) == one:
            return True
    return False


class _Checker:
    """The checks of one object. Each gives its errors and how many checks were made."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def value(self, schema: Object, value: Any, path: str, was: Correlation | None) -> tuple[Errors, int]:
        """A value of the skeleton: what was wrong before an update and did not change is no fault."""
        errors, made = self.restricted(schema, value, path, was)
        return ([] if errors and was is not None and was.unchanged else errors), made

    def restricted(self, schema: Object, value: Any, path: str, was: Correlation | None) -> tuple[Errors, int]:
        """A value against a schema, or against one below a junctor."""
        errors: Errors = []
        made = self._type(errors, schema, value, path)
        if value is None:
            self._enum(errors, schema, value, path)
            return errors, made
        made += self._junctors(errors, schema, value, path, was) + 2
        if type(value) is dict:
            self._enum(errors, schema, value, path)
            return errors, made + self._object(errors, schema, value, path, was) + 2
        if type(value) is list:
            made += self._list(errors, schema, value, path, was) + 1
        elif type(value) is str:
            made += self._string(errors, schema, value, path) + 1
        elif type(value) is not bool:
            made += self._number(errors, schema, value, path) + 1
        self._enum(errors, schema, value, path)
        return errors, made + 1

    def _type(self, errors: Errors, schema: Object, value: Any, path: str) -> int:
        if not types_of(schema) and not format_of(schema):
            return int(value is None)
        found = type_fault(schema, value)
        if found is None:
            return 1 if value is None else 2
        wanted, actual = found
        message = f"{path} in body must be of type {wanted}: {field.quote(actual)}"
        errors.append(field.type_invalid(self._at(path), actual, message))
        return 0 if value is None else 1

    def _enum(self, errors: Errors, schema: Object, value: Any, path: str) -> None:
        known = schema.get("enum")
        if not known or in_enum(known, value):
            return
        listed = [one if isinstance(one, str) else orjson.dumps(one).decode() for one in known]
        errors.append(field.not_supported(self._at(path), _shown(value), listed))

    def _junctors(self, errors: Errors, schema: Object, value: Any, path: str, was: Correlation | None) -> int:
        made = 1
        if schema.get("anyOf"):
            made += self._any_of(errors, schema["anyOf"], value, path, was)
        if schema.get("oneOf"):
            made += self._one_of(errors, schema["oneOf"], value, path, was)
        if schema.get("allOf"):
            made += self._all_of(errors, schema["allOf"], value, path, was)
        if schema.get("not") is not None and not self.restricted(schema["not"], value, path, was)[0]:
            self._say(errors, f'"{path}" {_NOT}')
        return made

    def _any_of(self, errors: Errors, below: list[Object], value: Any, path: str, was: Correlation | None) -> int:
        best: tuple[Errors, int] | None = None
        for schema in below:
            found = self.restricted(schema, value, path, was)
            if not found[0]:
                return found[1]
            if best is None or found[1] > best[1]:
                best = found
        self._say(errors, f'"{path}" {_ANY}')
        return self._merged(errors, best)

    def _one_of(self, errors: Errors, below: list[Object], value: Any, path: str, was: Correlation | None) -> int:
        best: tuple[Errors, int] | None = None
        good: list[int] = []
        for schema in below:
            found = self.restricted(schema, value, path, was)
            if not found[0]:
                good.append(found[1])
            elif not good and (best is None or found[1] > best[1]):
                best = found
        if len(good) == 1:
            return good[0]
        text = f"Found {len(good)} valid alternatives" if good else "Found none valid"
        self._say(errors, f'"{path}" {_ONE} {text}')
        return 0 if good else self._merged(errors, best)

    def _all_of(self, errors: Errors, below: list[Object], value: Any, path: str, was: Correlation | None) -> int:
        made = good = 0
        for schema in below:
            found = self.restricted(schema, value, path, was)
            good += not found[0]
            made += self._merged(errors, found)
        if good != len(below):
            self._say(errors, f'"{path}" {_ALL}{"" if good else ". None validated"}')
        return made

    @staticmethod
    def _merged(errors: Errors, found: tuple[Errors, int] | None) -> int:
        if found is None:
            return 0
        errors += found[0]
        return found[1]

    def _string(self, errors: Errors, schema: Object, value: str, path: str) -> int:
        fault = self._text_fault(schema, value, path)
        if fault is not None:
            errors.append(fault)
        form = format_of(schema)
        if not form or form in formats.NUMERIC:
            return 0
        if formats.fits(form, value):
            return 2
        message = f"{path} in body must be of type {form}: {field.quote(value)}"
        errors.append(field.type_invalid(self._at(path), value, message))
        return 1

    def _text_fault(self, schema: Object, value: str, path: str) -> FieldError | None:
        most, least, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
        if most is not None and len(value) > most:
            return field.too_long(self._at(path), most)
        if least is not None and len(value) < least:
            message = f"{path} in body should be at least {least} chars long"
            return field.invalid(self._at(path), value, message)
        if pattern and not go_regex.matches(pattern, value):
            return field.invalid(self._at(path), value, f"{path} in body should match '{pattern}'")
        return None

    def _number(self, errors: Errors, schema: Object, value: float, path: str) -> int:
        self._range(errors, schema, value, "Checked", path)
        factor, most, least = (schema.get(key) for key in ("multipleOf", "maximum", "minimum"))
        if factor is not None:
            bound = self._native(errors, schema, value, "multipleOf", path)
            if not numbers.is_multiple(value, bound):
                self._number_fault(errors, value, path, f"a multiple of {numbers.shown(bound)}")
        if least is not None:
            self._bound(errors, schema, value, path, low=True)
        if most is not None:
            self._bound(errors, schema, value, path, low=False)
        return 1

    def _native(self, errors: Errors, schema: Object, value: float, key: str, path: str) -> float:
        """A bound as it is compared: with an integer only its whole part is, where the type could hold it."""
        bound: float = schema[key]
        before = len(errors)
        self._range(errors, schema, bound, _BOUNDS[key], path)
        whole = int(bound)
        return whole if type(value) is int and len(errors) == before and (whole or key != "multipleOf") else bound

    def _bound(self, errors: Errors, schema: Object, value: float, path: str, *, low: bool) -> None:
        key = "Minimum" if low else "Maximum"
        bound = self._native(errors, schema, value, key.lower(), path)
        exclusive = bool(schema.get(f"exclusive{key}"))
        beyond = value < bound if low else value > bound
        if beyond or (exclusive and value == bound):
            word = "greater than" if low else "less than"
            tail = "" if exclusive else " or equal to"
            self._number_fault(errors, value, path, f"{word}{tail} {numbers.shown(bound)}")

    def _number_fault(self, errors: Errors, value: float, path: str, text: str) -> None:
        message = f"{path} in body should be {text}"
        errors.append(field.invalid(self._at(path), _shown(value), message))

    def _range(self, errors: Errors, schema: Object, value: float, what: str, path: str) -> None:
        types, form = types_of(schema), format_of(schema)
        # Of a value that may have several types the range is nobody's.
        kind = types[0] if len(types) == 1 else ""
        if numbers.out_of_range(value, kind, form):
            shown = f"with format {form}" if form else "(default format)"
            self._say(errors, f"{what} value must be of type {kind} {shown} in {path}")

    def _list(self, errors: Errors, schema: Object, value: list[Any], path: str, was: Correlation | None) -> int:
        made, items = 1, schema.get("items")
        if isinstance(items, dict):
            for at, item in enumerate(value):
                below = None if was is None else was.index(at)
                made += self._merged(errors, self.value(items, item, f"{path}[{at}]", below))
        least, most, size = schema.get("minItems"), schema.get("maxItems"), len(value)
        if least is not None and size < least:
            message = f"{path} in body should have at least {least} items"
            errors.append(field.invalid(self._at(path), size, message))
        if most is not None and size > most:
            errors.append(field.too_many(self._at(path), size, most))
        if schema.get("uniqueItems") and not unique(value):
            message = f"{path} in body shouldn't contain duplicates"
            errors.append(field.invalid(self._at(path), "", message))
        return made

    def _object(self, errors: Errors, schema: Object, value: Object, path: str, was: Correlation | None) -> int:
        least, most, size = schema.get("minProperties"), schema.get("maxProperties"), len(value)
        if least is not None and size < least:
            message = f"{path} in body should have at least {least} properties"
            errors.append(field.invalid(self._at(path), size, message))
        if most is not None and size > most:
            errors.append(field.too_many(self._at(path), size, most))
        made, extra = 0, schema.get("additionalProperties")
        properties = schema.get("properties") or {}
        for name, item in value.items():
            inner = properties.get(name)
            if inner is not None:
                made += self._member(errors, inner, item, f"{path}.{name}" if path else name, was, name)
            elif isinstance(extra, dict):
                made += self._member(errors, extra, item, f"{path}.{name}", was, name)
            elif extra is False:
                message = f"{path}.{name} in body is a forbidden property"
                errors.append(field.invalid(self._at(path), name, message))
        for name in schema.get("required") or ():
            if name not in value:
                errors.append(field.required(self._at(f"{path}.{name}")))
        return made

    def _member(  # noqa: PLR0913
        self, errors: Errors, schema: Object, value: Any, path: str, was: Correlation | None, name: str
    ) -> int:
        below = None if was is None else was.key(name)
        return self._merged(errors, self.value(schema, value, path, below))

    def _say(self, errors: Errors, message: str) -> None:
        """A sentence about no field in particular."""
        errors.append(field.invalid(self._prefix or _NOWHERE, "", message))

    def _at(self, path: str) -> str:
        name = path.removeprefix(".")
        if self._prefix and name:
            return f"{self._prefix}.{name}"
        return name or self._prefix or _NOWHERE


def unique(items: list[Any]) -> bool:
    """Whether no item stands twice."""
    texts = [orjson.dumps([type(item).__name__, item], option=orjson.OPT_SORT_KEYS) for item in items]
    return len(set(texts)) == len(texts)


def _shown(value: Any) -> Any:
    return Bare(numbers.shown(value)) if type(value) is float else value
