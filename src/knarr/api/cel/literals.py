"""Literals that can be seen to be wrong before anything is evaluated: times and patterns.

Source: https://pkg.go.dev/github.com/google/cel-go/cel (ASTValidators).
"""

from __future__ import annotations

from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.functions.runtime import functions
from knarr.api.cel.nodes import Node

_CHECKED = {"duration": 0, "timestamp": 0, "matches": 1}


def problems(node: Node) -> list[tuple[int, str]]:
    """Offset and sentence of each, in the order of the text."""
    return sorted(_below(node), key=lambda found: found[0])


def _below(node: Node) -> list[tuple[int, str]]:
    found = [wrong for part in node.below for wrong in _below(part)]
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


def _check(name: str, text: str) -> None:
    if name == "matches":
        from knarr.api.cel.functions.regex import pattern

        pattern(text)
    else:
        functions()[name].meaning(text)(text)
