"""Parsing: the text of an expression to a syntax tree (https://github.com/google/cel-spec/blob/master/doc/langdef.md).

Only expressions that are right: what is wrong with another is for `syntax` to say.
"""

from __future__ import annotations

from typing import Any

from knarr.api.cel import macros
from knarr.api.cel.lexer import SyntaxFault, Token, tokens
from knarr.api.cel.nodes import Node, call, constant, ident
from knarr.api.cel.values import Uint

#: Operators with two sides: how tightly they bind, and what they are called.
_BINARY = {
    **{mark: (1, f"_{mark}_") for mark in ("==", "!=", "<", "<=", ">", ">=")},
    "in": (1, "@in"),
    **{mark: (2, f"_{mark}_") for mark in ("+", "-")},
    **{mark: (3, f"_{mark}_") for mark in ("*", "/", "%")},
}
#: Words that are no names of variables or functions.
_RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "null",
        "return",
    ]
    + ["true", "var", "void", "while"]
)
_LITERALS = {"true": True, "false": False, "null": None}
#: How deep Kubernetes' parser goes.
_DEEPEST = 250
_MOST = 100_000


def parse(text: str, *, bindings: bool = False) -> Node:
    """The tree of an expression, macros expanded (`cel.bind` where asked for). Raises `SyntaxFault`."""
    if len(text) > _MOST:
        raise SyntaxFault(-1, f"expression code point size exceeds limit: size: {len(text)}, limit {_MOST}")
    parser = _Parser(tokens(text), bindings)
    node = parser.expression()
    if parser.token.kind != "end":
        raise SyntaxFault(parser.token.at, f"Syntax error: extraneous input '{parser.token.value}' expecting <EOF>")
    return node


class _Parser:
    def __init__(self, found: list[Token], bindings: bool) -> None:  # noqa: FBT001 - private
        self.tokens, self.index, self.depth, self.bindings = found, 0, 0, bindings
        self.token = found[0]

    def next(self) -> Token:
        token = self.token
        self.index += 1
        self.token = self.tokens[min(self.index, len(self.tokens) - 1)]
        return token

    def take(self, mark: str) -> Token | None:
        """The mark, if it comes next."""
        return self.next() if self.token.kind == "mark" and self.token.value == mark else None

    def need(self, mark: str) -> Token:
        found = self.take(mark)
        if found is None:
            raise SyntaxFault(self.token.at, f"Syntax error: missing '{mark}' at '{self.token.value}'")
        return found

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise SyntaxFault(-1, f"expression recursion limit exceeded: {_DEEPEST}")
        node = self.disjunction()
        asked = self.take("?")
        if asked is not None:
            chosen = self.disjunction()
            self.need(":")
            node = call(asked.at, "_?_:_", node, chosen, self.expression())
        self.depth -= 1
        return node

    def disjunction(self) -> Node:
        terms, places = [self.conjunction()], []
        while (found := self.take("||")) is not None:
            places.append(found.at)
            terms.append(self.conjunction())
        return _balanced("_||_", terms, places)

    def conjunction(self) -> Node:
        terms, places = [self.binary(1)], []
        while (found := self.take("&&")) is not None:
            places.append(found.at)
            terms.append(self.binary(1))
        return _balanced("_&&_", terms, places)

    def binary(self, least: int) -> Node:
        """Operands and the operators between them that bind so tightly at least."""
        node = self.unary()
        while self.token.kind in ("mark", "name"):
            level, name = _BINARY.get(self.token.value, (0, ""))
            if level < least:
                break
            at = self.next().at
            node = call(at, name, node, self.binary(level + 1))
            self._deepen(node)
        return node

    def _deepen(self, node: Node) -> None:
        # A chain is as deep as it is long, though it nests nothing.
        depth = 0
        while node.below and node.kind in ("call", "select"):
            node, depth = node.below[0], depth + 1
            if depth > _DEEPEST:
                raise SyntaxFault(-1, f"expression recursion limit exceeded: {_DEEPEST}")

    def unary(self) -> Node:
        for mark, name in (("!", "!_"), ("-", "-_")):
            first = self.take(mark)
            if first is None:
                continue
            count = 1
            while self.take(mark):
                count += 1
            if mark == "-" and self.token.kind in ("int", "float"):
                # The last sign belongs to the number.
                node, count = self.member(self.number(first.at if count == 1 else self.token.at, -1)), count - 1
            else:
                node = self.member(self.primary())
            return call(first.at, name, node) if count % 2 else node
        return self.member(self.primary())

    def number(self, at: int, sign: int) -> Node:
        token = self.next()
        value = token.value * sign
        if token.kind == "int" and not -(2**63) <= value < 2**63:
            raise SyntaxFault(at, "invalid int literal")
        if token.kind == "uint":
            if value >= 2**64:
                raise SyntaxFault(at, "invalid uint literal")
            value = Uint(value)
        return constant(at, value)

    def member(self, node: Node) -> Node:
        while self.token.kind == "mark" and self.token.value in (".", "["):
            node = self.selected(node) if self.token.value == "." else self.indexed(node)
            self._deepen(node)
        return node

    def selected(self, node: Node) -> Node:
        dot = self.next()
        optional = self.take("?") is not None
        token = self.next()
        if token.kind == "quoted":
            raise SyntaxFault(token.at, "unsupported syntax: '`'")
        if token.kind != "name" or token.value in ("in", "true", "false", "null"):
            raise SyntaxFault(dot.at, "Syntax error: no viable alternative at input '.'")
        if optional:
            return call(dot.at, "_?._", node, constant(token.at, token.value))
        opened = self.take("(")
        if opened is None:
            return Node("select", dot.at, token.value, [node])
        found = Node("call", opened.at, token.value, [node, *self.listed(")")], targeted=True)
        return macros.expanded(found, bindings=self.bindings)

    def indexed(self, node: Node) -> Node:
        opened = self.next()
        name = "_[?_]" if self.take("?") else "_[_]"
        index = self.expression()
        self.need("]")
        return call(opened.at, name, node, index)

    def listed(self, end: str) -> list[Node]:
        found: list[Node] = []
        while not self.take(end):
            if found:
                self.need(",")
            found.append(self.expression())
        return found

    def primary(self) -> Node:
        token = self.token
        if token.kind in ("int", "uint", "float"):
            return self.number(token.at, 1)
        if token.kind in ("text", "bytes"):
            return constant(self.next().at, token.value)
        if token.kind == "mark" and token.value in ("(", "[", "{"):
            return self.bracketed(self.next())
        leading = self.take(".")
        if self.token.kind != "name" or (leading is None and self.token.value in _LITERALS):
            if self.token.value in _LITERALS and self.token.kind == "name" and leading is None:
                return constant(self.next().at, _LITERALS[token.value])
            raise SyntaxFault(self.token.at, f"Syntax error: mismatched input '{self.token.value}'")
        return self.named()

    def bracketed(self, opened: Token) -> Node:
        if opened.value == "(":
            node = self.expression()
            self.need(")")
            return node
        return self.list_of(opened.at) if opened.value == "[" else self.map_of(opened.at)

    def list_of(self, at: int) -> Node:
        node, optional = Node("list", at), []
        while not self.take("]"):
            if node.below:
                self.need(",")
                if self.take("]"):
                    break
            if self.take("?"):
                optional.append(len(node.below))
            node.below.append(self.expression())
        node.optional = tuple(optional)
        return node

    def map_of(self, at: int) -> Node:
        node, optional = Node("map", at), []
        while not self.take("}"):
            if node.below:
                self.need(",")
                if self.take("}"):
                    break
            if self.take("?"):
                optional.append(len(node.below) // 2)
            node.below.append(self.expression())
            self.need(":")
            node.below.append(self.expression())
        node.optional = tuple(optional)
        return node

    def named(self) -> Node:
        token, ahead, name = self.token, self.index + 1, self.token.value
        while self._mark(ahead, ".") and self.tokens[ahead + 1].kind == "name":
            name, ahead = f"{name}.{self.tokens[ahead + 1].value}", ahead + 2
        if self._mark(ahead, "{"):
            self.index = ahead - 1
            self.next()
            return self.struct(self.next().at, name)
        self.next()
        if token.value in _RESERVED:
            raise SyntaxFault(token.at, f"reserved identifier: {token.value}")
        opened = self.take("(")
        if opened is None:
            return ident(token.at, token.value)
        return macros.expanded(Node("call", opened.at, token.value, self.listed(")")), bindings=self.bindings)

    def _mark(self, index: int, mark: str) -> bool:
        token = self.tokens[min(index, len(self.tokens) - 1)]
        return token.kind == "mark" and token.value == mark

    def struct(self, at: int, name: str) -> Node:
        node, names, optional = Node("struct", at, name), list[tuple[str, int]](), list[int]()
        while not self.take("}"):
            if names:
                self.need(",")
                if self.take("}"):
                    break
            if self.take("?"):
                optional.append(len(names))
            token: Any = self.next()
            if token.kind == "quoted":
                raise SyntaxFault(token.at, "unsupported syntax: '`'")
            if token.kind != "name":
                raise SyntaxFault(token.at, f"Syntax error: mismatched input '{token.value}'")
            names.append((token.value, self.need(":").at))
            node.below.append(self.expression())
        node.optional, node.names = tuple(optional), tuple(names)
        return node


def _balanced(name: str, terms: list[Node], places: list[int]) -> Node:
    """A tree as flat as can be, as Kubernetes' parser makes it: long chains nest little."""
    if len(terms) == 1:
        return terms[0]
    middle = len(places) // 2
    left = _balanced(name, terms[: middle + 1], places[:middle])
    right = _balanced(name, terms[middle + 1 :], places[middle + 1 :])
    return call(places[middle], name, left, right)
