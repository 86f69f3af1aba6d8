"""Compiling a checked syntax tree into closures.

A closure takes a frame, a list: what was spent so far, what may be spent, and the values of variables, each in a
place of its own. It counts its cost in the frame as CEL for Go does: a name costs 1, and each step from there to a
field or an item; a literal nothing, a list 10, a map 30, an object 40; a call what `call_costs` says.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any

from knarr.api.cel import calls, closures, operators, types
from knarr.api.cel.budget import EvaluationError
from knarr.api.cel.call_costs import call_cost
from knarr.api.cel.closures import SPENT, Closure, Frame, Step
from knarr.api.cel.functions.runtime import functions
from knarr.api.cel.loops import loop
from knarr.api.cel.nodes import Node
from knarr.api.cel.values import Built, Duration, TypeValue, Uint

FIRST = 3
LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "_+_": operators.add,
    "_-_": operators.subtract,
    "_*_": operators.multiply,
    "_/_": operators.divide,
    "_%_": operators.modulo,
    "@in": operators.within,
}
_ORDER: dict[str, Callable[[Any, Any], Any]] = {"_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge}
_CONVERSIONS = frozenset(["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"])
_ZEROS: dict[str, Any] = {"double": 0.0, "uint": Uint(0), "duration": Duration(0)}
_STEPS = frozenset({"_[_]", "_[?_]", "_?._"})


def is_attribute(node: Node) -> bool:
    """Whether a node is a name or steps from something to a field or an item."""
    return (
        node.kind == "ident"
        or (node.kind == "select" and not node.test_only)
        or (node.kind == "call" and node.name in _STEPS)
    )


class Compiler:
    """Compiles one expression; `places` has where in the frame each variable from outside stands."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.inner: dict[str, int] = {}
        self.size = FIRST
        self.kinds: dict[str, Callable[[Node], Closure]] = {
            "const": lambda node: closures.constant(node.value),
            "ident": self._attribute,
            "select": self._attribute,
            "call": self._call,
            "list": self._list,
            "map": self._map,
            "struct": self._struct,
            "loop": lambda node: loop(self, node),
        }

    def place(self) -> int:
        """A new place in the frame."""
        self.size += 1
        return self.size - 1

    def value(self, node: Node) -> Closure:
        """What gives the value of a node."""
        return self.kinds[node.kind](node)

    def raw(self, node: Node, cost: int = 1) -> Closure:
        """The same, of a node from which one goes on to fields and items: nothing is made of JSON yet.

        `cost` is that of a name: none for the branches of a choice, an index, or what is only looked for.
        """
        if not is_attribute(node):
            return self.value(node)
        return self._steps(node, cost)

    def _attribute(self, node: Node) -> Closure:
        if node.test_only:
            return self.presence(node)
        found = self._steps(node, 1)
        return closures.converted(found, node.type)

    def _steps(self, node: Node, cost: int) -> Closure:
        names: list[Step] = []
        while node.kind == "select" and not node.test_only:
            names.append(_step(node.below[0].type, node.name))
            node = node.below[0]
        names.reverse()
        if node.kind == "call" and node.name in _STEPS:
            start = self._index(node, cost)
            cost = 0
        elif node.kind == "ident":
            return self._ident(node, tuple(names), cost + len(names))
        else:
            start = self.value(node)
        return closures.path(start, tuple(names), cost + len(names)) if names else start

    def _ident(self, node: Node, names: tuple[Step, ...], cost: int) -> Closure:
        if node.type.kind == "type" and node.name not in self.inner and not names and node.type.params:
            kind = TypeValue(_type_name(node.type.params[0]))
            return closures.constant(kind)
        name, place = node.name, self.inner.get(node.name)
        if place is None:
            place = self.places.get(name) or self.places.setdefault(name, self.place())
        return closures.variable(name, place, cost) if not names else closures.variable_path(name, place, names, cost)

    def _index(self, node: Node, cost: int) -> Closure:
        holder, key = node.below
        step = operators.access if node.name == "_[_]" else operators.optional_access
        if node.name == "_?._":
            name = _step(holder.type, key.value)
            key = Node("const", key.at, value=name[0])
            step = operators.optional_field if name[1] else step
        inside = is_attribute(holder)
        held = self.raw(holder, cost) if inside else self.value(holder)
        own = 1 if inside else 1 + cost
        if key.kind == "const":
            return closures.indexed_constant(held, key.value, step, own)
        return closures.indexed(held, closures.converted(self.raw(key, 0), key.type), step, own)

    def _call(self, node: Node) -> Closure:
        name = node.name
        if name in _STEPS:
            return self._attribute(node)
        if name in ("_&&_", "_||_"):
            left, right = map(self.value, node.below)
            return closures.conjunction(left, right) if name == "_&&_" else closures.disjunction(left, right)
        if name == "_?_:_":
            condition = self.value(node.below[0])
            chosen, other = (closures.converted(self.raw(part, 0), part.type) for part in node.below[1:])
            return closures.choice(condition, chosen, other)
        if name == "!_":
            return closures.negation(self.value(node.below[0]))
        if name == "@in" and node.below[1].kind == "list" and _constants(node.below[1]):
            return closures.member(self.value(node.below[0]), [part.value for part in node.below[1].below])
        return self._function(node)

    def _function(self, node: Node) -> Closure:
        given, cost = [self.value(part) for part in node.below], call_cost(node.name, node.overloads)
        if node.name in ("_==_", "_!=_"):
            return closures.equality(given[0], given[1], same=node.name == "_==_", cost=cost)
        if node.name in _ORDER:
            return closures.order(given[0], given[1], _ORDER[node.name], cost)
        if node.name in _BINARY:
            return closures.binary(given[0], given[1], _BINARY[node.name], cost)
        if node.name == "-_":
            return closures.negative(given[0])
        if node.name in ("or", "orValue") and node.targeted:
            return closures.alternative(given[0], given[1], whole=node.name == "or")
        if node.name == "matches" and type(node.below[1].value) is str:
            return calls.matching(given[0], node.below[1].value)
        if node.name == "sum":
            given = [calls.unless_empty(given[0], _ZEROS.get(node.type.kind, 0))]
        function = functions().get(node.name)
        if function is None:
            raise EvaluationError(f"unknown function: {node.name}")
        if node.name in _CONVERSIONS and node.below[0].kind == "const":
            return closures.constant(function.meaning(node.below[0].value)(node.below[0].value))
        return calls.called(given, function, cost)

    def _list(self, node: Node) -> Closure:
        if _constants(node):
            return closures.copied([part.value for part in node.below])
        given = [self.value(part) for part in node.below]
        if node.optional:
            return calls.optional_list(given, frozenset(node.optional))

        def made(frame: Frame) -> list[Any]:
            found = [part(frame) for part in given]
            frame[SPENT] += LIST_COST
            return found

        return made

    def _map(self, node: Node) -> Closure:
        if _constants(node):
            pairs = zip(node.below[::2], node.below[1::2], strict=True)
            return closures.copied({_key(key.value): part.value for key, part in pairs})
        given = [self.value(part) for part in node.below]
        entries = list(zip(given[::2], given[1::2], strict=True))
        optional = frozenset(node.optional)

        def made(frame: Frame) -> dict[Any, Any]:
            found = {}
            for index, (key, value) in enumerate(entries):
                name, entry = key(frame), value(frame)
                if index in optional:
                    if not entry.present:
                        continue
                    entry = entry.value
                found[_key(name)] = entry
            frame[SPENT] += MAP_COST
            return found

        return made

    def _struct(self, node: Node) -> Closure:
        given, name, optional = [self.value(part) for part in node.below], node.name, frozenset(node.optional)
        fields = [
            (key, part, at in optional) for at, ((key, _), part) in enumerate(zip(node.names, given, strict=True))
        ]

        def made(frame: Frame) -> Built:
            found = {}
            for key, part, absent in fields:
                value = part(frame)
                if absent:
                    if not value.present:
                        continue
                    value = value.value
                found[key] = value
            frame[SPENT] += STRUCT_COST
            return Built(name, found)

        return made

    def presence(self, node: Node) -> Closure:
        """`has(a.b)`."""
        holder, (name, declared) = self.raw(node.below[0], 0), _step(node.below[0].type, node.name)
        present = operators.filled if declared else operators.present

        def has(frame: Frame) -> bool:
            held = holder(frame)
            frame[SPENT] += 1
            return present(held, name)

        return has


def _step(holder: types.Type, name: str) -> Step:
    """What a field is called in JSON, and whether a schema declares it."""
    if types.is_optional(holder):
        holder = holder.params[0]
    found = holder.find(name) if holder.kind == "object" and holder.find is not None else None
    return (name, False) if found is None else (found.name, holder.shape is not None)


def _type_name(kind: types.Type) -> str:
    return str(types.Type(kind.kind, kind.name))


def _constants(node: Node) -> bool:
    return not node.optional and all(part.kind == "const" for part in node.below)


def _key(key: Any) -> Any:
    if type(key) in (str, int, bool, Uint):
        return key
    if type(key) is float and key.is_integer():
        return int(key)
    raise EvaluationError(f"unsupported key type: {key!r}")
