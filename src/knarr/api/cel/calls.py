"""Closures that call functions, and those that make lists of what may be absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knarr.api.cel.call_costs import BY_RESULT, quarter, tenth
from knarr.api.cel.closures import LIMIT, LIST_COST, LONG, SPENT, Closure, Frame, spent_out, weighed
from knarr.api.cel.functions.regex import pattern
from knarr.api.cel.functions.registry import Function
from knarr.api.cel.values import NONE, no_overload


def called(given: list[Closure], function: Function, cost: Any) -> Closure:
    """A function, found by the types of what it is given."""
    if type(cost) is not int:
        return _measured_pair(given, function, cost) if len(given) == 2 else _measured(given, function.meaning, cost)
    if len(given) == 1:
        return _unary(given[0], function, cost)
    meaning = function.meaning

    def fixed(frame: Frame) -> Any:
        values = [part(frame) for part in given]
        frame[SPENT] += cost
        found = meaning(*values)(*values)
        return weighed(frame, found) if type(found) is str and len(found) > LONG else found

    return fixed


def _unary(only: Closure, function: Function, cost: int) -> Closure:
    meaning, known = function.meaning, function.exact.get

    def unary(frame: Frame) -> Any:
        value = only(frame)
        frame[SPENT] += cost
        found = (known((type(value),)) or meaning(value))(value)
        return weighed(frame, found) if type(found) is str and len(found) > LONG else found

    return unary


def _measured(given: list[Closure], meaning: Callable[..., Callable[..., Any]], cost: Any) -> Closure:
    after = cost in BY_RESULT

    def value(frame: Frame) -> Any:
        values = tuple([part(frame) for part in given])
        call = meaning(*values)
        if not after:
            frame[SPENT] += cost(values, None)
            if frame[SPENT] > frame[LIMIT]:
                raise spent_out()
        found = call(*values)
        if after:
            frame[SPENT] += cost(values, found)
        return weighed(frame, found) if type(found) is str and len(found) > LONG else found

    return value


def _measured_pair(given: list[Closure], function: Function, cost: Any) -> Closure:
    """The commonest: `text.startsWith('a')`."""
    (left, right), known, meaning = given, function.exact.get, function.meaning
    after = cost in BY_RESULT

    def value(frame: Frame) -> Any:
        one, two = left(frame), right(frame)
        call = known((type(one), type(two))) or meaning(one, two)
        if after:
            found = call(one, two)
            frame[SPENT] += cost((one, two), found)
            return found
        frame[SPENT] += cost((one, two), None)
        if frame[SPENT] > frame[LIMIT]:
            raise spent_out()
        found = call(one, two)
        return weighed(frame, found) if type(found) is str and len(found) > LONG else found

    return value


def matching(inner: Closure, wanted: str) -> Closure:
    """`inner.matches('...')` with a literal."""
    each, found = quarter(len(wanted)), None

    def value(frame: Frame) -> bool:
        nonlocal found
        text = inner(frame)
        if type(text) is not str:
            raise no_overload("matches", text, wanted)
        frame[SPENT] += tenth(len(text) + 1) * each
        if frame[SPENT] > frame[LIMIT]:
            raise spent_out()
        # The pattern is made with the first text.
        found = found or pattern(wanted).search
        return found(text.encode()) is not None

    return value


def unless_empty(given: Closure, zero: Any) -> Closure:
    """A list, or where it has no items, one with a zero."""
    return lambda frame: given(frame) or [zero]


def optional_list(given: list[Closure], optional: frozenset[int]) -> Closure:
    """A list with entries that may be absent."""

    def made(frame: Frame) -> list[Any]:
        found = []
        for index, part in enumerate(given):
            value = part(frame)
            if index not in optional:
                found.append(value)
            elif value is not NONE and value.present:
                found.append(value.value)
        frame[SPENT] += LIST_COST
        return found

    return made
