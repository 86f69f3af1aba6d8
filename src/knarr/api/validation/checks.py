"""Small checks that nearly every kind needs. All append to a list of errors; paths are plain strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from knarr.api.validation import names
from knarr.api.validation.names import NameCheck
from knarr.apimachinery import field
from knarr.apimachinery.field import FieldError
from knarr.apimachinery.types import Object

Errors = list[FieldError]

NOT_NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"


def texts(errors: Errors, path: str, value: Any, wrong: Iterable[str]) -> None:
    """One `Invalid` for each sentence."""
    for text in wrong:
        errors.append(field.invalid(path, value, text))


def required_name(errors: Errors, path: str, value: str, check: NameCheck) -> None:
    """A name that must be given and good."""
    if not value:
        errors.append(field.required(path))
    else:
        texts(errors, path, value, check(value))


def required_text(errors: Errors, path: str, value: Any) -> None:
    """Something must be given."""
    if not value:
        errors.append(field.required(path))


def one_of(errors: Errors, path: str, value: str, known: Sequence[str]) -> None:
    """A value of an enumeration, listed as `known` lists it."""
    if value not in known:
        errors.append(field.not_supported(path, value, known))


def required_one_of(errors: Errors, path: str, value: str, known: Sequence[str], detail: str = "") -> None:
    """A value of an enumeration that must be given."""
    if not value:
        errors.append(field.required(path, detail))
    else:
        one_of(errors, path, value, known)


def not_negative(errors: Errors, path: str, value: int | None) -> None:
    """A number of 0 or more; None is fine."""
    if value is not None and value < 0:
        errors.append(field.invalid(path, value, NOT_NEGATIVE))


def positive(errors: Errors, path: str, value: int) -> None:
    """A number of 1 or more."""
    if value <= 0:
        errors.append(field.invalid(path, value, "must be greater than zero"))


def immutable(errors: Errors, path: str, new: Any, old: Any, shown: Any = ...) -> None:
    """A field that may not change; `shown` is what the message shows instead of the new value."""
    if (new or None) != (old or None):
        errors.append(field.invalid(path, new if shown is ... else shown, IMMUTABLE))


def port(errors: Errors, path: str, value: int) -> None:
    """A port number."""
    if not 1 <= value <= 65535:
        texts(errors, path, value, names.port_number(value))


def port_or_name(errors: Errors, path: str, value: int | str) -> None:
    """A port number or the name of one."""
    if isinstance(value, str):
        texts(errors, path, value, names.port_name(value))
    else:
        port(errors, path, value)


def labels(errors: Errors, path: str, given: Mapping[str, str] | None) -> None:
    """Keys and values of labels (or a selector's `matchLabels`)."""
    for key, value in (given or {}).items():
        label_key(errors, path, key)
        wrong = names.label_value(value)
        if wrong:
            texts(errors, path, value, wrong)


def label_key(errors: Errors, path: str, key: str) -> None:
    """A label's key, or anything of that syntax."""
    wrong = names.qualified_name(key)
    if wrong:
        texts(errors, path, key, wrong)


def count_or_percent(errors: Errors, path: str, value: int | str) -> None:
    """`3` or `25%`, not negative."""
    if isinstance(value, str):
        texts(errors, path, value, names.percent(value))
    else:
        not_negative(errors, path, value)


def at_most_100_percent(errors: Errors, path: str, value: int | str) -> None:
    """A percentage of 100 or less; counts are fine."""
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        errors.append(field.invalid(path, value, "must not be greater than 100%"))


def number_of(value: int | str) -> int:
    """The count, or the number before the percent sign; 0 for what is neither."""
    if isinstance(value, int):
        return value
    return int(value[:-1]) if not names.percent(value) else 0


def duplicates(errors: Errors, path: str, values: Iterable[str]) -> None:
    """Every later occurrence of a value is a duplicate."""
    seen: set[str] = set()
    for at, value in enumerate(values):
        if value in seen:
            errors.append(field.duplicate(f"{path}[{at}]", value))
        seen.add(value)


def sorted_map(given: Mapping[str, str] | None) -> dict[str, str] | None:
    """A map as messages show it: by its keys."""
    return None if given is None else dict(sorted(given.items()))


def items(obj: Object, name: str) -> Sequence[Any]:
    """A list field, empty when absent."""
    found: Sequence[Any] = obj.get(name) or ()
    return found
