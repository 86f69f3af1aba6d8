"""The syntax tree of a compiled expression, read from its serialised form (`cel.expr.CheckedExpr` in an `Any`).

Input: the bytes. Output: nodes, where each stands in the text, and which of them are names of variables.
https://github.com/google/cel-spec/blob/master/proto/cel/expr/checked.proto
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: Field numbers of `Expr`.
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 3, 4, 5, 6, 7, 8, 9
_KINDS = {
    _CONST: "const",
    _IDENT: "ident",
    _SELECT: "select",
    _CALL: "call",
    _LIST: "list",
    _STRUCT: "struct",
    _LOOP: "loop",
}


@dataclass(slots=True)
class Node:
    """One node: its kind (`const` for whatever is none of the others), its names, and the nodes below.

    `name` is a variable, a field or a function; `below` has operand or target first, then the arguments; of a loop the
    range, the initial value, the condition, the step and the result. `size` is how long a constant text is; other
    constants have 1.
    """

    id: int
    kind: str = "const"
    name: str = ""
    other_name: str = ""
    test_only: bool = False
    targeted: bool = False
    size: int = 1
    below: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole expression.

    `positions`: node → offset in the text, in characters; `references`: nodes that are names; `overloads`: call → names
    of the functions that it may be.
    """

    root: Node
    positions: Mapping[int, int]
    references: frozenset[int]
    overloads: Mapping[int, tuple[str, ...]]


def read(data: bytes) -> Tree:
    """The tree of a serialised expression."""
    checked = next(_bytes(data, 2))
    referred = {_number(entry, 1): next(_bytes(entry, 2), b"") for entry in _bytes(checked, 2)}
    overloads = {at: tuple(name.decode() for name in _bytes(entry, 3)) for at, entry in referred.items()}
    root = _node(next(_bytes(checked, 4)))
    source = next(_bytes(checked, 5), b"")
    positions = {_number(entry, 1): _number(entry, 2) for entry in _bytes(source, 4)}
    return Tree(root, positions, frozenset(at for at, entry in referred.items() if entry), overloads)


def _node(data: bytes) -> Node:
    node = Node(_number(data, 2))
    for number, kind in _KINDS.items():
        part = next(_bytes(data, number), None)
        if part is not None:
            node.kind = kind
            _READERS[kind](node, part)
    return node


def _read_const(node: Node, data: bytes) -> None:
    for number in (6, 7):
        for value in _bytes(data, number):
            node.size = len(value.decode()) if number == 6 else len(value)


def _read_ident(node: Node, data: bytes) -> None:
    node.name = _text(data, 1)


def _read_select(node: Node, data: bytes) -> None:
    node.name, node.test_only = _text(data, 2), bool(_number(data, 3))
    node.below = [_node(part) for part in _bytes(data, 1)]


def _read_call(node: Node, data: bytes) -> None:
    target = [_node(part) for part in _bytes(data, 1)]
    node.name, node.targeted = _text(data, 2), bool(target)
    node.below = [*target, *(_node(part) for part in _bytes(data, 3))]


def _read_list(node: Node, data: bytes) -> None:
    node.below = [_node(part) for part in _bytes(data, 1)]


def _read_struct(node: Node, data: bytes) -> None:
    node.name = _text(data, 1)
    for entry in _bytes(data, 2):
        node.below += [_node(part) for number in (3, 4) for part in _bytes(entry, number)]


def _read_loop(node: Node, data: bytes) -> None:
    node.name, node.other_name = _text(data, 1), _text(data, 8)
    node.below = [_node(next(_bytes(data, number), b"")) for number in (2, 4, 5, 6, 7)]


_READERS = {
    "const": _read_const,
    "ident": _read_ident,
    "select": _read_select,
    "call": _read_call,
    "list": _read_list,
    "struct": _read_struct,
    "loop": _read_loop,
}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            size, at = _varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        else:
            at += 8 if key & 7 == 1 else 4


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _bytes(data: bytes, wanted: int) -> Iterator[bytes]:
    return (value for number, value in _fields(data) if number == wanted and isinstance(value, bytes))


def _number(data: bytes, wanted: int) -> int:
    return next((value for number, value in _fields(data) if number == wanted and isinstance(value, int)), 0)


def _text(data: bytes, wanted: int) -> str:
    return next(_bytes(data, wanted), b"").decode()
