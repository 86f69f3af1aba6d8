"""Kubernetes' JSONPath, as printer columns use it: `.spec.a`, `.status.conditions[?(@.type=="Ready")].status`.

Input: the text of a path without braces, a JSON value. Output: the values found, in order; a key that is missing finds
nothing. Source: k8s.io/client-go/util/jsonpath, whose dialect is its own.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

#: Finds values below values. Raises `ValueError` for a value that cannot be asked so.
Step = Callable[[Sequence[Any]], list[Any]]
_NAME = re.compile(r"(?:\\.|[^.\[\]{}\s\\])+")
_SLICE = re.compile(r"\s*(-?\d*)\s*(?::\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?)?")
_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"")
_OPERATOR = re.compile(r"==|!=|<=|>=|<|>")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST = 64


def find(path: str, value: Any) -> list[Any]:
    """The values at a path. Raises `ValueError` for a path that is none, and where a value is of a wrong kind."""
    found: list[Any] = [value]
    for step in parse(path):
        found = step(found)
    return found


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises `ValueError`."""
    steps: list[Step] = []
    at = 1 if text[:1] in ("$", "@") else 0
    while at < len(text):
        step, at = _step(text, at)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def _step(text: str, at: int) -> tuple[Step | None, int]:
    if text.startswith("..", at):
        return _descend, at + 1 if text[at + 2 : at + 3] not in ("", "[") else at + 2
    if text[at] == "[":
        return _bracket(text, at)
    if text[at] == ".":
        at += 1
        if at == len(text) or text[at] == "[":
            return None, at
    if text[at] == "*":
        return _every, at + 1
    found = _NAME.match(text, at)
    if found is None:
        raise ValueError(f"unrecognized character in path: {text[at:]}")
    return _field(re.sub(r"\\(.)", r"\1", found.group())), found.end()


def _bracket(text: str, at: int) -> tuple[Step, int]:
    end = _closing(text, at)
    inner = text[at + 1 : end].strip()
    if inner.startswith("?(") and inner.endswith(")"):
        return _filter(inner[2:-1].strip()), end + 1
    parts = _split(inner)
    steps = [_element(part) for part in parts]
    return steps[0] if len(steps) == 1 else _union(steps), end + 1


def _closing(text: str, at: int) -> int:
    """Where the bracket ends that begins here."""
    depth, quote, here = 0, "", at
    while here < len(text):
        char = text[here]
        if quote:
            here += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        else:
            depth += (char == "[") - (char == "]")
            if not depth:
                return here
        here += 1
    raise ValueError("unterminated array")


def _split(inner: str) -> list[str]:
    """The parts of a union: what stands between commas that are not quoted."""
    parts: list[str] = []
    rest = inner
    while True:
        quoted = _QUOTED.match(rest)
        end = rest.find(",", quoted.end() if quoted else 0)
        if end < 0:
            return [*parts, rest.strip()]
        parts.append(rest[:end].strip())
        rest = rest[end + 1 :].strip()


def _element(part: str) -> Step:
    if part == "*":
        return _every
    quoted = _QUOTED.fullmatch(part)
    if quoted:
        return _field(_unquoted(quoted))
    found = _SLICE.fullmatch(part)
    if found is None or not part:
        raise ValueError(f"invalid array index {part}")
    if ":" not in part:
        return _index(int(found.group(1)))
    start, stop, step = (int(each) if each else None for each in found.groups(default=""))
    if step is not None and step <= 0:
        raise ValueError("step must be > 0")
    return _sliced(slice(start, stop, step))


def _unquoted(found: re.Match[str]) -> str:
    text = found.group(1) if found.group(1) is not None else found.group(2)
    return re.sub(r"\\(.)", r"\1", text)


def _field(name: str) -> Step:
    def step(values: Sequence[Any]) -> list[Any]:
        return [value[name] for value in values if isinstance(value, dict) and name in value]

    return step


def _index(number: int) -> Step:
    def step(values: Sequence[Any]) -> list[Any]:
        out = []
        for value in values:
            if not isinstance(value, list):
                raise ValueError("is not array or slice")
            if not -len(value) <= number < len(value):
                raise ValueError(f"array index out of bounds: index {number}, length {len(value)}")
            out.append(value[number])
        return out

    return step


def _sliced(part: slice) -> Step:
    def step(values: Sequence[Any]) -> list[Any]:
        if any(not isinstance(value, list) for value in values):
            raise ValueError("is not array or slice")
        return [each for value in values for each in value[part]]

    return step


def _every(values: Sequence[Any]) -> list[Any]:
    out: list[Any] = []
    for value in values:
        if isinstance(value, list):
            out += value
        elif isinstance(value, dict):
            out += (value[name] for name in sorted(value))
    return out


def _descend(values: Sequence[Any]) -> list[Any]:
    return [each for value in values for each in _all_below(value, 0)]


def _all_below(value: Any, depth: int) -> Iterator[Any]:
    if depth > _DEEPEST:
        raise ValueError("the value is nested too deeply")
    yield value
    for below in _every([value]):
        yield from _all_below(below, depth + 1)


def _union(steps: Sequence[Step]) -> Step:
    def step(values: Sequence[Any]) -> list[Any]:
        return [each for one in steps for each in one(values)]

    return step


def _filter(text: str) -> Step:
    found = _OPERATOR.search(_QUOTED.sub(lambda each: "x" * len(each.group()), text))
    if found is None:
        left = _operand(text)
        return _selecting(lambda item: bool(left(item)))
    left, right = _operand(text[: found.start()].strip()), _operand(text[found.end() :].strip())
    compare = _COMPARE[found.group()]

    def holds(item: Any) -> bool:
        one, other = left(item), right(item)
        if not one or not other:
            return False
        if len(one) > 1 or len(other) > 1:
            raise ValueError("can only compare one element at a time")
        return _same_kind(one[0], other[0]) and compare(one[0], other[0])

    return _selecting(holds)


def _selecting(holds: Callable[[Any], bool]) -> Step:
    def step(values: Sequence[Any]) -> list[Any]:
        if any(not isinstance(value, list) for value in values):
            raise ValueError("is not array or slice and cannot be filtered")
        return [item for value in values for item in value if holds(item)]

    return step


def _operand(text: str) -> Callable[[Any], list[Any]]:
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        literal = [_unquoted(quoted)]
        return lambda _item: literal
    if text[:1] in ("@", "$", "."):
        return lambda item: find(text, item)
    known: dict[str, Any] = {"true": True, "false": False}
    value = [known[text] if text in known else _number(text)]
    return lambda _item: value


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _same_kind(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        raise ValueError("incompatible types for comparison")
    return True
