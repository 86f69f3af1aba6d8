"""Numbers as the Go implementation of JSON schemas takes and prints them: integers and floats are told apart."""

from __future__ import annotations

import math
from typing import Any

_INTEGERS = {"int32": (-(1 << 31), (1 << 31) - 1), "uint32": (0, (1 << 32) - 1), "uint64": (0, (1 << 64) - 1)}
_INT64 = (-(1 << 63), (1 << 63) - 1)
_FLOAT32_MAX = 3.4028234663852886e38
_SAFE = float((1 << 53) - 1)
_EPSILON = 1e-9


def shown(value: Any) -> str:
    """A number as Go's `%v`: `5`, `0.5`, `1e+06`."""
    if type(value) is not float:
        return str(value)
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    digits, _, exponent = f"{value!r}".replace("E", "e").partition("e")
    sign = "-" if digits.startswith("-") else ""
    whole, _, fraction = digits.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    figures = (whole + fraction).lstrip("0")
    if not figures:
        return f"{sign}0"
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(figures))
    return sign + _placed(figures.rstrip("0"), point)


def _placed(figures: str, point: int) -> str:
    """Figures with the decimal point behind so many of them; with an exponent where it is far away."""
    exponent = point - 1
    if exponent < -4 or exponent >= 6:
        return f"{figures[0]}{'.' if len(figures) > 1 else ''}{figures[1:]}e{exponent:+03d}"
    if point <= 0:
        return f"0.{'0' * -point}{figures}"
    if point >= len(figures):
        return figures + "0" * (point - len(figures))
    return f"{figures[:point]}.{figures[point:]}"


def is_whole(value: float) -> bool:
    """Whether a float stands for an integer of JSON: within 2^53, and next to one."""
    if math.isnan(value) or not -_SAFE <= value <= _SAFE:
        return False
    nearest = math.trunc(value)
    if value == nearest:
        return True
    apart = abs(value - nearest)
    return nearest > 0 and apart / (abs(value) + abs(nearest)) < _EPSILON


def out_of_range(value: float, kind: str, form: str) -> bool:
    """Whether a number is none of the type and format that its schema names."""
    if kind == "integer":
        if type(value) is float and value != math.trunc(value):
            return True
        low, high = _INTEGERS.get(form, _INT64)
        return not low <= value <= high
    return form in ("float", "float32") and abs(value) > _FLOAT32_MAX


def is_multiple(value: float, factor: float) -> bool:
    """Whether a number is a multiple of a positive factor: exactly for integers."""
    if type(value) is int and factor == int(factor):
        return value % int(factor) == 0
    return is_whole(1 / factor * value if factor < 1 else value / factor)
