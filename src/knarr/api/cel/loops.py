"""Comprehensions: the macros' loops, each run directly, at the cost of the general loop that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from knarr.api.cel.budget import BudgetExceeded, EvaluationError
from knarr.api.cel.closures import LIMIT, SPENT, Closure, Frame
from knarr.api.cel.nodes import Node
from knarr.api.cel.values import Duration, Timestamp, Uint, no_overload, type_name
from knarr.api.cel.work import count


class Compiling(Protocol):
    """What compiles the parts of a loop: their values, places for variables, and which names have one."""

    inner: dict[str, int]

    def value(self, node: Node) -> Closure: ...  # noqa: D102 - see the compiler
    def raw(self, node: Node, cost: int = 1) -> Closure: ...  # noqa: D102
    def place(self) -> int: ...  # noqa: D102


#: What Go calls values that one might think can be gone through.
_GO_TYPES: dict[type, str] = {
    bool: "types.Bool",
    int: "types.Int",
    Uint: "types.Uint",
    float: "types.Double",
    str: "types.String",
    bytes: "types.Bytes",
    type(None): "types.Null",
    Timestamp: "types.Timestamp",
    Duration: "types.Duration",
}


class _Parts:
    """What a loop is made of: how to go through its range, its test, its value."""

    def __init__(self, compiler: Compiling, node: Node) -> None:
        self.range = compiler.raw(node.below[0])
        outer = dict(compiler.inner)
        self.first = compiler.inner[node.name] = compiler.place()
        self.second = 0
        if node.other_name:
            self.second = compiler.inner[node.other_name] = compiler.place()
        self.compiler, self.node = compiler, node
        self.tested, self.values = _inner(node)
        self.test = compiler.value(self.tested) if self.tested is not None else None
        self.made = [compiler.value(part) for part in self.values]
        compiler.inner = outer

    def rounds(self, frame: Frame, *, all_of: bool = False) -> Iterable[None]:
        """Go through the range, setting the variables; `all_of` tells that it is always gone through whole."""
        held, first, second = self.range(frame), self.first, self.second
        limit = frame[LIMIT]
        if not isinstance(held, list | dict):
            raise EvaluationError(f"got '{_GO_TYPES.get(type(held), type_name(held))}', expected iterable type")
        if all_of:
            # Rounds that add nothing cost nothing.
            count(frame, len(held))
        if second:
            pairs: Iterable[Any] = enumerate(held) if isinstance(held, list) else held.items()
            for frame[first], frame[second] in pairs:
                if frame[SPENT] > limit:
                    raise BudgetExceeded(call=True)
                yield
            return
        for frame[first] in held:
            if frame[SPENT] > limit:
                raise BudgetExceeded(call=True)
            yield


def _inner(node: Node) -> tuple[Node | None, list[Node]]:
    """The test and the values of a loop, out of its step."""
    step = node.below[3]
    if node.macro in ("all", "exists"):
        return step.below[1], []
    if node.macro in ("exists_one", "existsOne"):
        return step.below[0], []
    tested = None
    if step.name == "_?_:_":
        tested, step = step.below[0], step.below[1]
    if step.name == "_+_":
        return tested, step.below[1].below
    return tested, step.below[1:]


def loop(compiler: Compiling, node: Node) -> Closure:
    """What runs a loop."""
    if node.macro == "bind":
        return _bind(compiler, node)
    return _RUN[node.macro](_Parts(compiler, node))


def _bind(compiler: Compiling, node: Node) -> Closure:
    value, place = compiler.value(node.below[1]), compiler.place()
    outer = dict(compiler.inner)
    compiler.inner[node.accumulator] = place
    result = compiler.value(node.below[4])
    compiler.inner = outer

    def bound(frame: Frame) -> Any:
        frame[place] = value(frame)
        return result(frame)

    return bound


def _quantified(parts: _Parts, decisive: bool, each: int) -> Closure:  # noqa: FBT001 - a value
    test = parts.test

    def value(frame: Frame) -> bool:
        failed: EvaluationError | None = None
        found = not decisive
        for _ in parts.rounds(frame):
            frame[SPENT] += each
            if found is decisive:
                break
            frame[SPENT] += 1
            try:
                tested = test(frame)  # type: ignore[misc]
            except EvaluationError as error:
                failed = failed or error
                continue
            if tested is decisive:
                found = decisive
            elif type(tested) is not bool:
                failed = failed or no_overload()
        frame[SPENT] += 1
        if found is decisive or failed is None:
            return found
        raise failed

    return value


def _exists_one(parts: _Parts) -> Closure:
    test = parts.test

    def value(frame: Frame) -> bool:
        found = 0
        for _ in parts.rounds(frame, all_of=True):
            if _true(test, frame):
                found += 1
                frame[SPENT] += 2
        frame[SPENT] += 2
        return found == 1

    return value


def _true(test: Any, frame: Frame) -> bool:
    found = test(frame)
    if type(found) is bool:
        return found
    raise no_overload()


def _listed(parts: _Parts) -> Closure:
    test, made = parts.test, parts.made[0]
    each = 2 if parts.values[0].kind == "const" else 12

    def value(frame: Frame) -> list[Any]:
        found = []
        for _ in parts.rounds(frame, all_of=True):
            if test is None or _true(test, frame):
                found.append(made(frame))
                frame[SPENT] += each
        frame[SPENT] += 1
        return found

    return value


def _mapped(parts: _Parts) -> Closure:
    test, made = parts.test, parts.made

    def value(frame: Frame) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in parts.rounds(frame, all_of=True):
            if test is None or _true(test, frame):
                values = [part(frame) for part in made]
                frame[SPENT] += 2
                _insert(found, values)
        frame[SPENT] += 1
        return found

    return value


def _insert(found: dict[Any, Any], values: list[Any]) -> None:
    entries = [tuple(values)] if len(values) == 2 else list(values[0].items())
    for key, value in entries:
        if key in found:
            raise EvaluationError(f"insert failed: key {key} already exists")
        found[key] = value


_RUN: dict[str, Callable[[_Parts], Closure]] = {
    "all": lambda parts: _quantified(parts, False, 2),
    "exists": lambda parts: _quantified(parts, True, 3),
    **dict.fromkeys(("exists_one", "existsOne"), _exists_one),
    **dict.fromkeys(("map", "filter", "transformList"), _listed),
    **dict.fromkeys(("transformMap", "transformMapEntry"), _mapped),
}
