"""Macros: calls that are written shorter than what they mean, expanded while parsing.

`all`, `exists`, `existsOne`, `map`, `filter`, those with two variables, `has`, `optMap`, `cel.bind`. Sources:
https://github.com/google/cel-spec/blob/master/doc/langdef.md#macros and cel-go's package ext (comprehensions).
"""

from __future__ import annotations

from collections.abc import Callable

from knarr.api.cel.lexer import SyntaxFault
from knarr.api.cel.nodes import Node, call, constant, ident

RESULT = "@result"
_SIMPLE, _IDENTIFIER = "argument must be a simple name", "argument is not an identifier"


def expanded(node: Node, *, bindings: bool) -> Node:
    """What a call means: itself, unless it is a macro. Raises `SyntaxFault` where its arguments are none of a macro."""
    if not node.targeted:
        return _has(node) if node.name == "has" and len(node.below) == 1 else node
    if node.name == "bind" and len(node.below) == 4 and node.below[0].kind == "ident" and node.below[0].name == "cel":
        return _bind(node) if bindings else node
    expand = _MACROS.get((node.name, len(node.below) - 1))
    return node if expand is None else expand(node)


def _has(node: Node) -> Node:
    inner = node.below[0]
    if inner.kind != "select" or inner.test_only:
        raise SyntaxFault(inner.at, "invalid argument to has() macro")
    return Node("select", node.at, inner.name, inner.below, test_only=True)


def _bind(node: Node) -> Node:
    _, name, value, result = node.below
    at = node.at
    _variable(name, "cel.bind() variable names must be simple identifiers")
    parts = [Node("list", at), value, constant(at, False), ident(at, name.name), result]
    return Node("loop", at, "#unused", parts, accumulator=name.name, macro="bind")


def _variable(node: Node, otherwise: str) -> str:
    if node.kind != "ident":
        raise SyntaxFault(node.at, otherwise)
    if node.name in (RESULT, "__result__"):
        raise SyntaxFault(node.at, "iteration variable overwrites accumulator variable")
    return node.name


def _loop(node: Node, variables: list[str], parts: list[Node]) -> Node:
    """`parts`: initial value, condition, step, result."""
    first, second = [*variables, ""][:2]
    return Node("loop", node.at, first, [node.below[0], *parts], None, False, False, (), (), second, RESULT, node.name)


def _variables(node: Node, count: int, otherwise: str = _SIMPLE) -> list[str]:
    names = [_variable(part, otherwise) for part in node.below[1 : 1 + count]]
    if len(set(names)) < len(names):
        raise SyntaxFault(node.below[2].at, f"duplicate variable name: {names[0]}")
    return names


def _quantifier(count: int, *, every: bool) -> Callable[[Node], Node]:
    def expand(node: Node) -> Node:
        at, tested = node.at, node.below[-1]
        result = ident(at, RESULT)
        if every:
            condition, step = call(at, "@not_strictly_false", result), call(at, "_&&_", ident(at, RESULT), tested)
        else:
            condition = call(at, "@not_strictly_false", call(at, "!_", result))
            step = call(at, "_||_", ident(at, RESULT), tested)
        parts = [constant(at, every), condition, step, ident(at, RESULT)]
        return _loop(node, _variables(node, count), parts)

    return expand


def _exists_one(count: int) -> Callable[[Node], Node]:
    def expand(node: Node) -> Node:
        at, tested = node.at, node.below[-1]
        more = call(at, "_+_", ident(at, RESULT), constant(at, 1))
        step = call(at, "_?_:_", tested, more, ident(at, RESULT))
        result = call(at, "_==_", ident(at, RESULT), constant(at, 1))
        return _loop(node, _variables(node, count), [constant(at, 0), constant(at, True), step, result])

    return expand


def _collect(node: Node, tested: Node | None, value: Node, variables: list[str]) -> Node:
    at = node.at
    step = call(at, "_+_", ident(at, RESULT), Node("list", at, below=[value]))
    if tested is not None:
        step = call(at, "_?_:_", tested, step, ident(at, RESULT))
    return _loop(node, variables, [Node("list", at), constant(at, True), step, ident(at, RESULT)])


def _map(node: Node) -> Node:
    tested = node.below[2] if len(node.below) == 4 else None
    return _collect(node, tested, node.below[-1], _variables(node, 1, _IDENTIFIER))


def _filter(node: Node) -> Node:
    variables = _variables(node, 1, _IDENTIFIER)
    return _collect(node, node.below[2], node.below[1], variables)


def _transform_list(node: Node) -> Node:
    tested = node.below[3] if len(node.below) == 5 else None
    return _collect(node, tested, node.below[-1], _variables(node, 2))


def _transform_map(node: Node) -> Node:
    at, variables = node.at, _variables(node, 2)
    if node.name == "transformMap":
        step = call(at, "cel.@mapInsert", ident(at, RESULT), ident(at, variables[0]), node.below[-1])
    else:
        step = call(at, "cel.@mapInsert", ident(at, RESULT), node.below[-1])
    if len(node.below) == 5:
        step = call(at, "_?_:_", node.below[3], step, ident(at, RESULT))
    return _loop(node, variables, [Node("map", at), constant(at, True), step, ident(at, RESULT)])


def _sort_by(node: Node) -> Node:
    at, target = node.at, node.below[0]
    held = "@__sortBy_input__"
    mapped = Node("call", at, "map", [ident(at, held), *node.below[1:]], targeted=True)
    keys = _map(mapped)
    result = Node("call", at, "@sortByAssociatedKeys", [ident(at, held), keys], targeted=True)
    parts = [Node("list", at), target, constant(at, False), ident(at, held), result]
    return Node("loop", at, "#unused", parts, accumulator=held, macro="bind")


def _opt_map(node: Node) -> Node:
    """`x.optMap(v, e)`: of what is there, `e`; `optFlatMap` takes an `e` that may be absent itself."""
    at, (target, name, result) = node.at, node.below
    variable = _variable(name, f"{node.name}() variable name must be a simple identifier")
    value = Node("call", at, "value", [target], targeted=True)
    parts = [Node("list", at), value, constant(at, False), ident(at, variable), result]
    found = Node("loop", at, "#unused", parts, accumulator=variable, macro="bind")
    if node.name == "optMap":
        found = call(at, "optional.of", found)
    there = Node("call", at, "hasValue", [target], targeted=True)
    return call(at, "_?_:_", there, found, call(at, "optional.none"))


_MACROS: dict[tuple[str, int], Callable[[Node], Node]] = {
    ("all", 2): _quantifier(1, every=True),
    ("exists", 2): _quantifier(1, every=False),
    ("exists_one", 2): _exists_one(1),
    ("existsOne", 2): _exists_one(1),
    ("map", 2): _map,
    ("map", 3): _map,
    ("filter", 2): _filter,
    ("sortBy", 2): _sort_by,
    ("optMap", 2): _opt_map,
    ("optFlatMap", 2): _opt_map,
    ("all", 3): _quantifier(2, every=True),
    ("exists", 3): _quantifier(2, every=False),
    ("existsOne", 3): _exists_one(2),
    ("exists_one", 3): _exists_one(2),
    ("transformList", 3): _transform_list,
    ("transformList", 4): _transform_list,
    ("transformMap", 3): _transform_map,
    ("transformMap", 4): _transform_map,
    ("transformMapEntry", 3): _transform_map,
    ("transformMapEntry", 4): _transform_map,
}
