"""Closures that evaluating an expression runs: variables, access, logic, operators, calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from knarr.api.cel import operators, types
from knarr.api.cel.budget import BudgetExceeded, EvaluationError
from knarr.api.cel.declared import converter
from knarr.api.cel.values import NONE, MapList, Optional, SetList, no_overload

Frame = list[Any]
Closure = Callable[[Frame], Any]
#: A field, and whether a schema declares it: null then means that it is not there.
Step = tuple[str, bool]
SPENT, LIMIT = 0, 1
LIST_COST = 10
#: From so many items on a list that is made by adding two counts for what it takes.
LONG = 10_000
_GROWING = frozenset({str, bytes, list, SetList, MapList})
#: Values whose equality is Python's.
_SIMPLE = frozenset({int, bool, str})


class Missing:
    """In place of a variable that was not given."""


MISSING = Missing()


def spent_out() -> BudgetExceeded:
    """An evaluation that went beyond its limit."""
    return BudgetExceeded(call=True)


def converted(found: Closure, kind: types.Type) -> Closure:
    """What a closure gives, made of JSON what its declared type says."""
    convert = converter(kind)
    if convert is None:
        return found
    return lambda frame: convert(found(frame))


def constant(value: Any) -> Closure:
    """The same value always."""
    return lambda frame: value


def copied(value: Any) -> Closure:
    """A list or a map of literals: each time another, as whoever gets the result may change it."""
    return lambda frame: value.copy()


def variable(name: str, place: int, cost: int) -> Closure:
    """The value of a variable."""

    def value(frame: Frame) -> Any:
        frame[SPENT] += cost
        found = frame[place]
        if found is MISSING:
            raise EvaluationError(f"no such attribute(s): {name}")
        return found

    return value


def variable_path(name: str, place: int, names: tuple[Step, ...], cost: int) -> Closure:
    """A field of a field of a variable."""
    access = operators.access

    def value(frame: Frame) -> Any:
        frame[SPENT] += cost
        found = frame[place]
        if found is MISSING:
            raise EvaluationError(f"no such attribute(s): {name}")
        for step, declared in names:
            if type(found) is dict and step in found:
                found = found[step]
            else:
                found = access(found, step)
            if found is None and declared:
                raise EvaluationError(f"no such key: {step}")
        return found

    return value


def path(start: Closure, names: tuple[Step, ...], cost: int) -> Closure:
    """A field of a field of what something else gives."""
    access = operators.access

    def value(frame: Frame) -> Any:
        found = start(frame)
        frame[SPENT] += cost
        for step, declared in names:
            found = access(found, step)
            if found is None and declared:
                raise EvaluationError(f"no such key: {step}")
        return found

    return value


def indexed_constant(holder: Closure, key: Any, step: Callable[[Any, Any], Any], cost: int) -> Closure:
    """`holder[key]` with a literal."""

    def value(frame: Frame) -> Any:
        held = holder(frame)
        frame[SPENT] += cost
        found = step(held, key)
        if found is NONE:
            # Steps that lead nowhere cost nothing.
            frame[SPENT] -= 1
        return found

    return value


def indexed(holder: Closure, key: Closure, step: Callable[[Any, Any], Any], cost: int) -> Closure:
    """`holder[key]`."""

    def value(frame: Frame) -> Any:
        held = holder(frame)
        index = key(frame)
        frame[SPENT] += cost
        found = step(held, index)
        if found is NONE:
            frame[SPENT] -= 1
        return found

    return value


def negation(inner: Closure) -> Closure:
    """`!inner`."""

    def value(frame: Frame) -> bool:
        found = inner(frame)
        frame[SPENT] += 1
        if found is True or found is False:
            return found is False
        raise no_overload()

    return value


def negative(inner: Closure) -> Closure:
    """`-inner`."""

    def value(frame: Frame) -> Any:
        found = inner(frame)
        frame[SPENT] += 1
        return operators.negate(found)

    return value


def decided(left: Closure, right: Closure, decisive: bool) -> Closure:  # noqa: FBT001 - a value
    """`&&` and `||`: one side may decide alone, whatever is wrong with the other."""

    def value(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        found: Any = None
        try:
            found = left(frame)
        except EvaluationError as error:
            failed = error
        if found is decisive:
            return bool(found)
        try:
            other = right(frame)
        except EvaluationError as error:
            raise failed or error from None
        if other is decisive:
            return bool(other)
        if failed is not None:
            raise failed
        if type(found) is bool and type(other) is bool:
            return not decisive
        raise no_overload()

    return value


def conjunction(left: Closure, right: Closure) -> Closure:
    """`left && right`."""
    return decided(left, right, False)


def disjunction(left: Closure, right: Closure) -> Closure:
    """`left || right`."""
    return decided(left, right, True)


def choice(condition: Closure, chosen: Closure, other: Closure) -> Closure:
    """`condition ? chosen : other`."""

    def value(frame: Frame) -> Any:
        found = condition(frame)
        if found is True:
            return chosen(frame)
        if found is False:
            return other(frame)
        raise no_overload()

    return value


def member(inner: Closure, items: list[Any]) -> Closure:
    """`x in ['a', 'b']`: literals cost nothing to look through."""
    return lambda frame: operators.contains(items, inner(frame))


def alternative(left: Closure, right: Closure, *, whole: bool) -> Closure:
    """`a.or(b)`, `a.orValue(b)`: the second is not looked at if the first is there."""

    def value(frame: Frame) -> Any:
        found = left(frame)
        if type(found) is not Optional:
            raise no_overload()
        if found.present:
            return found if whole else found.value
        return right(frame)

    return value


def binary(left: Closure, right: Closure, operate: Callable[[Any, Any], Any], cost: Any) -> Closure:
    """An operator with two operands."""
    if type(cost) is int:

        def fixed(frame: Frame) -> Any:
            one, two = left(frame), right(frame)
            frame[SPENT] += cost
            found = operate(one, two)
            if type(found) in _GROWING and len(found) > LONG:
                # Where adding copies nothing, as in cel-go, what doubles costs nothing.
                return weighed(frame, found)
            return found

        return fixed

    def measured(frame: Frame) -> Any:
        one, two = left(frame), right(frame)
        frame[SPENT] += cost((one, two), None)
        if frame[SPENT] > frame[LIMIT]:
            raise spent_out()
        return operate(one, two)

    return measured


def _both(frame: Frame, left: Closure, right: Closure) -> tuple[Any, Any]:
    """Two operands; what has none costs no less, as the other is looked at and the operator counted."""
    try:
        one = left(frame)
    except EvaluationError:
        with contextlib.suppress(EvaluationError):
            right(frame)
        frame[SPENT] += 1
        raise
    try:
        return one, right(frame)
    except EvaluationError:
        frame[SPENT] += 1
        raise


def equality(left: Closure, right: Closure, *, same: bool, cost: Any) -> Closure:
    """`left == right`, or `left != right`."""
    equal = operators.equal

    def value(frame: Frame) -> bool:
        one, two = _both(frame, left, right)
        kind = type(one)
        if kind is type(two) and kind in _SIMPLE:
            frame[SPENT] += 1 if kind is not str else -(-min(len(one), len(two)) // 10)
            return (one == two) is same
        frame[SPENT] += cost((one, two), None)
        return equal(one, two) is same

    return value


def order(left: Closure, right: Closure, sign: Callable[[Any, Any], Any], cost: Any) -> Closure:
    """`left < right` and the like; `sign` is the operator of numbers."""
    compare = operators.compare

    def value(frame: Frame) -> bool:
        one, two = _both(frame, left, right)
        frame[SPENT] += cost if type(cost) is int else cost((one, two), None)
        if type(one) is int and type(two) is int:
            return bool(sign(one, two))
        return bool(sign(compare(one, two), 0))

    return value


def weighed(frame: Frame, found: Any) -> Any:
    """Count what a long text or list is worth that its function does not count."""
    frame[SPENT] += len(found) // 10
    if frame[SPENT] > frame[LIMIT]:
        raise spent_out()
    return found
