"""Cron schedules: the five standard fields and descriptors, with the parser's own words for what is wrong."""

from __future__ import annotations

import re
from typing import NamedTuple

_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*|0")
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: at + 1 for at, name in enumerate(_MONTH_NAMES)}
_DAYS = {name: at for at, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}


_NOTHING = (0, 0, 0)


class _Field(NamedTuple):
    low: int
    high: int
    names: dict[str, int]


_FIELDS = (_Field(0, 59, {}), _Field(0, 23, {}), _Field(1, 31, {}), _Field(1, 12, _MONTHS), _Field(0, 6, _DAYS))


def problem(schedule: str) -> str:
    """What is wrong with a schedule; empty when nothing is."""
    text = schedule.strip()
    if text.startswith("@"):
        return _descriptor(text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for value, known in zip(fields, _FIELDS, strict=True):
        for part in filter(None, value.split(",")):
            wrong = _range(part, known)
            if wrong:
                return wrong
    return ""


def _descriptor(text: str) -> str:
    if text in _DESCRIPTORS:
        return ""
    if text.startswith("@every "):
        duration = text.removeprefix("@every ")
        if _DURATION.fullmatch(duration):
            return ""
        return f'failed to parse duration {text}: time: invalid duration "{duration}"'
    return f"unrecognized descriptor: {text}"


def _range(expression: str, known: _Field) -> str:
    given, wrong = _span(expression, known)
    return wrong or _bounds(expression, known, given)


def _span(expression: str, known: _Field) -> tuple[tuple[int, int, int], str]:
    """First and last number and the step, and what is wrong with them as numbers."""
    span, *steps = expression.split("/")
    if len(steps) > 1:
        return _NOTHING, f"too many slashes: {expression}"
    first, *more = span.split("-")
    if first in ("*", "?"):
        low, high, wrong = known.low, known.high, ""
    elif len(more) > 1:
        return _NOTHING, f"too many hyphens: {expression}"
    else:
        low, wrong = _number(first, known.names)
        high = low
        if not wrong and more:
            high, wrong = _number(more[0], known.names)
        if not wrong and steps and not more:
            high = known.high
    step = 1
    if not wrong and steps:
        step, wrong = _number(steps[0], {})
    return (low, high, step), wrong


def _bounds(expression: str, known: _Field, given: tuple[int, int, int]) -> str:
    low, high, step = given
    if low < known.low:
        return f"beginning of range ({low}) below minimum ({known.low}): {expression}"
    if high > known.high:
        return f"end of range ({high}) above maximum ({known.high}): {expression}"
    if low > high:
        return f"beginning of range ({low}) beyond end of range ({high}): {expression}"
    return "" if step else f"step of range should be a positive number: {expression}"


def _number(text: str, named: dict[str, int]) -> tuple[int, str]:
    if text.lower() in named:
        return named[text.lower()], ""
    digits = text[1:] if text[:1] in "+-" and text[:1] else text
    if not (digits.isascii() and digits.isdigit()):
        return 0, f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
    number = int(text)
    return number, "" if number >= 0 else f"negative number ({number}) not allowed: {text}"


def values(text: str, place: int) -> frozenset[int]:
    """What a field of a schedule that has no problem stands for; `place` is its position, from 0."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, high, step = _span(part, _FIELDS[place])[0]
        found.update(range(low, high + 1, step))
    return frozenset(found)


def is_any(text: str) -> bool:
    """Whether a field leaves the choice to the others: one of its parts is `*` or `?` without steps."""
    return any(_is_any(*part.split("/")) for part in text.split(","))


def _is_any(span: str, step: str = "1") -> bool:
    return span.split("-")[0] in ("*", "?") and int(step) == 1
