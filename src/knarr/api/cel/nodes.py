"""The syntax tree of an expression: what the parser makes, the checker fills in, and the evaluator compiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from knarr.api.cel.types import DYN, Type


@dataclass(slots=True, eq=False)
class Node:
    """One node.

    `kind` is `const`, `ident`, `select`, `call`, `list`, `map`, `struct` or `loop`; `at` its offset in the text, in
    characters; `name` a variable, a field or a function; `below` operand or target first, then the arguments (of a map:
    key, value, key, value; of a loop: the range, the initial value, the condition, the step, the result).
    `optional` has the places of entries that may be absent, `names` the fields of a struct with their offsets.
    Of a loop `name` and `other_name` are its variables and `accumulator` that of its result; `macro` is how it was
    written. The checker sets `type`, and `overloads`: which declarations of a function a call may mean.
    """

    kind: str
    at: int
    name: str = ""
    below: list[Node] = field(default_factory=list)
    value: Any = None
    targeted: bool = False
    test_only: bool = False
    optional: tuple[int, ...] = ()
    names: tuple[tuple[str, int], ...] = ()
    other_name: str = ""
    accumulator: str = ""
    macro: str = ""
    type: Type = DYN
    overloads: tuple[str, ...] = ()


def constant(at: int, value: Any) -> Node:
    """A literal."""
    return Node("const", at, value=value)


def ident(at: int, name: str) -> Node:
    """A name."""
    return Node("ident", at, name)


def call(at: int, name: str, *below: Node) -> Node:
    """A function with its arguments."""
    return Node("call", at, name, list(below))


def qualified(node: Node) -> str:
    """`a.b.c` for a chain of names, else empty."""
    if node.kind == "ident":
        return node.name
    if node.kind == "select" and not node.test_only:
        before = qualified(node.below[0])
        return f"{before}.{node.name}" if before else ""
    return ""
