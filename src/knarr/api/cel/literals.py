"""Literals that can be seen to be wrong before anything is evaluated: times and patterns.

Source: https://pkg.go.dev/github.com/google/cel-go/cel (ASTValidators).
"""

from __future__ import annotations

from dataclasses import replace

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions import regex, text_format
from knarr.api.cel.functions.runtime import functions
from knarr.api.cel.nodes import Node
from knarr.api.cel.syntax import INSTANTIATION

_CONVERTED = frozenset(("bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"))
_CHECKED = {"duration": 0, "timestamp": 0, "matches": 1}


def problems(node: Node) -> list[tuple[int, str]]:
    """Offset and sentence of each, in the order of the text."""
    return sorted(_below(node), key=lambda found: found[0])


def instantiation_problem(node: Node) -> str:
    """What keeps a program from being made, though the expression compiles: literals that Kubernetes works out then."""
    for part in node.below:
        found = instantiation_problem(part)
        if found:
            return found
    try:
        _make(node)
    except EvaluationError as error:
        return f"{INSTANTIATION}{error.message}"
    return ""


def _make(node: Node) -> None:
    if node.kind != "call" or not node.below:
        return
    given = node.below[1] if node.name in ("find", "findAll") and len(node.below) > 1 else node.below[0]
    if given.kind != "const":
        return
    if node.name in ("find", "findAll") and type(given.value) is str:
        regex.pattern(given.value)
    elif node.name in _CONVERTED and not node.targeted:
        functions()[node.name].meaning(given.value)(given.value)


def _below(node: Node) -> list[tuple[int, str]]:
    found = [wrong for part in node.below for wrong in _below(part)]
    if node.kind == "call" and node.name == "format" and node.targeted:
        return found + _format(node)
    if node.kind != "call" or node.name not in _CHECKED:
        return found
    given = node.below[_CHECKED[node.name]] if len(node.below) > _CHECKED[node.name] else None
    if given is None or given.kind != "const" or type(given.value) is not str:
        return found
    try:
        _check(node.name, given.value)
    except EvaluationError:
        found.append((given.at, f"invalid {node.name} argument"))
    return found


def _format(node: Node) -> list[tuple[int, str]]:
    """What is wrong with `'...'.format([...])`, of a literal text and a written list."""
    text, given = node.below
    if text.kind != "const" or type(text.value) is not str or given.kind != "list":
        return []
    try:
        used = _format_used(text.value, given.below)
    except _Misplaced as error:
        return [(error.at, error.args[0])]
    except EvaluationError as error:
        return [(node.at, error.message)]
    if len(given.below) <= used:
        return []
    wrong = f"too many arguments supplied to string.format (expected {used}, got {len(given.below)})"
    return [(node.at, wrong)]


class _Misplaced(Exception):
    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


def _format_used(text: str, given: list[Node]) -> int:
    used = 0
    for letter in text_format.clauses(text, len(given)):
        allowed, wrong = text_format.ALLOWED[letter]
        bad = _unfit(given[used], allowed, deep=letter == "s")
        if bad is not None:
            name = str(replace(bad.type, params=()))
            raise _Misplaced(bad.at, f"error during formatting: {wrong}, was given {name}")
        used += 1
    return used


def _unfit(node: Node, allowed: frozenset[str], *, deep: bool) -> Node | None:
    """The node of a type that a clause has no use for."""
    if node.type.kind not in allowed and node.type.kind != "dyn":
        return node
    parts = node.below if deep and node.kind in ("list", "map") else []
    return next((bad for part in parts if (bad := _unfit(part, allowed, deep=True)) is not None), None)


def _check(name: str, text: str) -> None:
    if name == "matches":
        regex.pattern(text)
    else:
        functions()[name].meaning(text)(text)
