"""`'%s is %d'.format([...])` (cel-go's package ext, strings version 2)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from knarr.api.cel.budget import BudgetExceeded, EvaluationError
from knarr.api.cel.functions import conversions
from knarr.api.cel.functions.registry import Library
from knarr.api.cel.functions.strings import LONGEST
from knarr.api.cel.values import Duration, Timestamp, TypeValue, Uint, type_name
from knarr.apimachinery.field import quote

library = Library()
_CLAUSE = re.compile(r"(?:\.([0-9]*))?(.)", re.DOTALL)
_PRECISION, _MOST_PRECISION, _MOST_DIGITS = 6, 1000, 4
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_STRING = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"


class _Wrong(Exception):
    """A value that a clause has no use for."""


@library.add("format", str, list)
def _format(text: str, given: list[Any]) -> str:
    found: list[str] = []
    at = used = size = 0
    while at < len(text):
        end = text.find("%", at)
        if end < 0:
            end = len(text)
        found.append(text[at:end])
        if end < len(text):
            part, at, used = _clause(text, end, given, used)
            found.append(part)
            size += len(part)
        else:
            at = end
        if size > LONGEST:
            raise BudgetExceeded(call=True)
    return "".join(found)


def _clause(text: str, at: int, given: list[Any], used: int) -> tuple[str, int, int]:
    """What stands for a clause, where the text goes on, and how many values were used."""
    if text.startswith("%%", at):
        return "%", at + 2, used
    if used >= len(given):
        raise EvaluationError(f"index {used} out of range")
    if at + 1 == len(text):
        raise EvaluationError("unexpected end of string")
    match = _CLAUSE.match(text, at + 1)
    precision, kind = _parsed(match)
    try:
        return _CLAUSES[kind](given[used], precision), at + 1 + len(match[0] if match else ""), used + 1
    except _Wrong as error:
        raise EvaluationError(f"error during formatting: {error}") from None


def _parsed(match: re.Match[str] | None) -> tuple[int, str]:
    wrong = "could not parse formatting clause: "
    precise = "error while parsing precision: "
    if match is None:
        raise EvaluationError(f"{wrong}{precise}could not find end of precision specifier")
    if match[1] == "":
        asked = 'error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax'
        raise EvaluationError(f"{wrong}{precise}{asked}")
    if match[2] not in _CLAUSES:
        raise EvaluationError(f'{wrong}unrecognized formatting clause "{match[2]}"')
    precision = _PRECISION if match[1] is None else int(match[1][:5])
    if precision > _MOST_PRECISION or len(match[1] or "") > _MOST_DIGITS:
        raise EvaluationError("precision too large")
    return precision, match[2]


def _string(value: Any, precision: int) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        entries = sorted((_literal(key), _literal(entry)) for key, entry in value.items())
        return "{" + ", ".join(f"{key}:{entry}" for key, entry in entries) + "}"
    return _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is TypeValue:
        return value.name
    if type(value) not in (bool, int, Uint, float, str, bytes, Timestamp, Duration):
        raise _Wrong(f"string clause can only be used on {_STRING}, was given {type_name(value)}")
    found: str = conversions.library.functions["string"].meaning(value)(value)
    return found


def _literal(value: Any) -> str:
    """A value within a list or a map, as an expression would have it."""
    if type(value) is str:
        return quote(value)
    if type(value) is bytes:
        return f"b{quote(_plain(value))}"
    if type(value) in (Timestamp, Duration):
        return f"{'timestamp' if type(value) is Timestamp else 'duration'}({quote(_plain(value))})"
    if type(value) is float:
        return f"{value:.6f}" if math.isfinite(value) else quote(_plain(value))
    return _string(value, 0)


def _decimal(value: Any, precision: int) -> str:
    if type(value) not in (int, Uint):
        raise _Wrong(f"decimal clause can only be used on integers, was given {type_name(value)}")
    return str(int(value))


def _number(value: Any, name: str) -> float:
    if type(value) is str and value in _NUMBERS:
        return _NUMBERS[value]
    if type(value) is not float:
        raise _Wrong(f"{name} clause can only be used on doubles, was given {type_name(value)}")
    return value


def _special(value: float) -> str:
    return "NaN" if value != value else "∞" if value > 0 else "-∞"


def _fixed(value: Any, precision: int) -> str:
    number = _number(value, "fixed-point")
    return f"{number:,.{precision}f}" if math.isfinite(number) else _special(number)


def _scientific(value: Any, precision: int) -> str:
    number = _number(value, "scientific")
    if not math.isfinite(number):
        return _special(number)
    mantissa, _, exponent = f"{number:.{precision}e}".partition("e")
    # The way numbers are printed for readers of English.
    digits = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa} × 10{digits if len(digits.lstrip('⁻')) > 1 else digits.replace(digits[-1], '⁰' + digits[-1])}"


def _binary(value: Any, precision: int) -> str:
    if type(value) not in (int, Uint, bool):
        raise _Wrong(f"only integers and bools can be formatted as binary, was given {type_name(value)}")
    return f"{int(value):b}"


def _hexadecimal(value: Any, precision: int) -> str:
    if type(value) in (int, Uint):
        return f"{int(value):x}"
    if type(value) is str:
        return value.encode().hex()
    if type(value) is bytes:
        return value.hex()
    wrong = "only integers, byte buffers, and strings can be formatted as hex, was given"
    raise _Wrong(f"{wrong} {type_name(value)}")


def _octal(value: Any, precision: int) -> str:
    if type(value) not in (int, Uint):
        raise _Wrong(f"octal clause can only be used on integers, was given {type_name(value)}")
    return f"{int(value):o}"


_CLAUSES: dict[str, Callable[[Any, int], str]] = {
    "s": _string,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "x": _hexadecimal,
    "X": lambda value, precision: _hexadecimal(value, precision).upper(),
    "o": _octal,
}


_INTEGERS = frozenset({"int", "uint"})
_ANY = _INTEGERS | {"list", "map", "double", "bool", "string", "timestamp", "bytes", "duration", "type", "null"}
#: By clause: the types that it takes, and what is said of others.
ALLOWED: dict[str, tuple[frozenset[str], str]] = {
    "s": (_ANY, f"string clause can only be used on {_STRING}"),
    "d": (_INTEGERS, "decimal clause can only be used on integers"),
    "f": (frozenset({"double", "string"}), "fixed-point clause can only be used on doubles"),
    "e": (frozenset({"double", "string"}), "scientific clause can only be used on doubles"),
    "b": (_INTEGERS | {"bool"}, "only integers and bools can be formatted as binary"),
    "o": (_INTEGERS, "octal clause can only be used on integers"),
    **dict.fromkeys(
        ("x", "X"),
        (_INTEGERS | {"string", "bytes"}, "only integers, byte buffers, and strings can be formatted as hex"),
    ),
}


def clauses(text: str, count: int) -> Iterable[str]:
    """The letters of a text's clauses. Raises `EvaluationError` for what is none, or for more than there are values."""
    at = used = 0
    while (at := text.find("%", at)) >= 0:
        if text.startswith("%%", at):
            at += 2
            continue
        if used >= count:
            raise EvaluationError(f"index {used} out of range")
        if at + 1 == len(text):
            raise EvaluationError("unexpected end of string")
        match = _CLAUSE.match(text, at + 1)
        yield _parsed(match)[1]
        at, used = at + 1 + len(match[0] if match else ""), used + 1
