"""Types of an expression's nodes, and what is wrong with them, in the words of CEL for Go.

The rules: https://github.com/google/cel-spec/blob/master/doc/langdef.md#gradual-type-checking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from knarr.api.cel import types
from knarr.api.cel.declarations import Overload
from knarr.api.cel.nodes import Node, qualified
from knarr.api.cel.types import BOOL, DYN, ERROR, INT, NULL, Field, Type
from knarr.api.cel.unification import Substitutions, most_general
from knarr.api.cel.values import Uint

Problems = list[tuple[int, str]]
_CONSTANTS = {
    bool: BOOL,
    int: INT,
    Uint: types.UINT,
    float: types.DOUBLE,
    str: types.STRING,
    bytes: types.BYTES,
    type(None): NULL,
}


class Declarations:
    """What an expression may name: variables with their types, functions, and types that it may construct."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        functions: Mapping[str, tuple[Overload, ...]],
        constructed: Callable[[str], Type | None] = lambda name: None,
    ) -> None:
        self.variables, self.functions, self.constructed = variables, functions, constructed


def check(root: Node, declared: Declarations) -> Problems:
    """Set the types below a node; what is wrong, as offset and sentence, in the order of the text."""
    checker = _Checker(declared)
    checker.check(root)
    if not checker.problems:
        checker.settle(root)
    return sorted(checker.problems, key=lambda problem: problem[0])


class _Checker:
    def __init__(self, declared: Declarations) -> None:
        self.declared = declared
        self.problems: Problems = []
        self.found = Substitutions()
        self.scope: dict[str, Type] = dict(declared.variables)
        self.kinds: dict[str, Callable[[Node], Type]] = {
            "const": lambda node: _CONSTANTS[type(node.value)],
            "ident": self._ident,
            "select": self._select,
            "call": self._call,
            "list": self._list,
            "map": self._map,
            "struct": self._struct,
            "loop": self._loop,
        }

    def check(self, node: Node) -> Type:
        node.type = self.kinds[node.kind](node)
        return node.type

    def settle(self, node: Node) -> None:
        """Put what was found out later in place of types that were not known."""
        node.type = self.found.applied(node.type, free=DYN)
        for part in node.below:
            self.settle(part)

    def problem(self, at: int, sentence: str) -> Type:
        self.problems.append((at, sentence))
        return ERROR

    def named(self, name: str) -> Type | None:
        """The type of a name: a variable's, or that of a type."""
        known = self.scope.get(name)
        if known is not None:
            return known
        made = types.NAMED.get(name) or self.declared.constructed(name)
        return None if made is None else types.type_of(made)

    def _ident(self, node: Node) -> Type:
        found = self.named(node.name)
        if found is None:
            return self.problem(node.at, f"undeclared reference to '{node.name}' (in container '')")
        return found

    def _select(self, node: Node) -> Type:
        name = qualified(node)
        known = self.named(name) if name else None
        if known is not None and "." in name and name.partition(".")[0] not in self.scope or name in self.scope:
            # A name with dots: a variable, or a type.
            node.kind, node.name, node.below = "ident", name, []
            return known or ERROR
        found = self._field(node, self.check(node.below[0]), node.name)
        return BOOL if node.test_only else found

    def _field(self, node: Node, holder: Type, name: str, *, optional: bool = False) -> Type:
        holder = self.found.applied(holder)
        absent = types.is_optional(holder)
        found = self._of(node, holder.params[0] if absent else holder, name)
        return types.optional_of(found) if absent or optional else found

    def _of(self, node: Node, holder: Type, name: str) -> Type:
        if holder.kind == "map":
            return holder.params[1]
        if holder.kind == "object":
            found = holder.find(name) if holder.find is not None else None
            return self.problem(node.at, f"undefined field '{name}'") if found is None else found.type
        if holder.kind == "opaque" and holder.name.startswith("kubernetes."):
            return self.problem(node.at, f"unexpected failed resolution of '{holder.name}'")
        if holder.kind == "param":
            # It is no use guessing what it will be.
            self.found.assignable(DYN, holder)
        elif holder.kind not in ("dyn", "error"):
            self.problem(node.at, f"type '{holder.text()}' does not support field selection")
        return DYN

    def _call(self, node: Node) -> Type:
        if node.name == "_?._":
            return self._optional_field(node)
        target, given = (node.below[0], node.below[1:]) if node.targeted else (None, node.below)
        kinds = [self.check(part) for part in given]
        if target is None:
            return self._named_call(node, kinds)
        prefix = qualified(target)
        if prefix and f"{prefix}.{node.name}" in self.declared.functions:
            node.name, node.targeted, node.below = f"{prefix}.{node.name}", False, given
            return self._resolved(node, kinds)
        kinds = [self.check(target), *kinds]
        return self._named_call(node, kinds)

    def _named_call(self, node: Node, kinds: list[Type]) -> Type:
        if node.name not in self.declared.functions:
            return self.problem(node.at, f"undeclared reference to '{node.name}' (in container '')")
        return self._resolved(node, kinds)

    def _optional_field(self, node: Node) -> Type:
        holder, name = node.below
        name.type = types.STRING
        node.overloads = ("select_optional_field",)
        return self._field(node, self.check(holder), name.value, optional=True)

    def _resolved(self, node: Node, kinds: list[Type]) -> Type:
        if node.name in ("_&&_", "_||_"):
            return self._logical(node, kinds)
        result: Type | None = None
        matched = []
        for overload in self.declared.functions[node.name]:
            if overload.member != node.targeted or len(overload.parameters) != len(kinds):
                continue
            parameters, given = self._instance(overload)
            if not self.found.all_assignable(kinds, parameters):
                continue
            matched.append(overload.id)
            found = self.found.applied(given)
            result = found if result is None else result if result == found or result.kind == "dyn" else DYN
        node.overloads = tuple(matched)
        return self._unmatched(node, kinds) if result is None else result

    def _instance(self, overload: Overload) -> tuple[tuple[Type, ...], Type]:
        if not overload.generic:
            return overload.parameters, overload.result
        fresh: dict[str, Type] = {}
        parameters = tuple(self._fresh(part, fresh) for part in overload.parameters)
        return parameters, self._fresh(overload.result, fresh)

    def _fresh(self, kind: Type, known: dict[str, Type]) -> Type:
        if kind.kind == "param":
            if kind.name not in known:
                known[kind.name] = self.found.new()
            return known[kind.name]
        if not kind.params:
            return kind
        return Type(kind.kind, kind.name, tuple(self._fresh(part, known) for part in kind.params))

    def _logical(self, node: Node, kinds: list[Type]) -> Type:
        node.overloads = ("logical_and" if node.name == "_&&_" else "logical_or",)
        result = BOOL
        for part, kind in zip(node.below, kinds, strict=True):
            if not self.found.assignable(kind, BOOL):
                result = self.mismatch(part, BOOL, kind)
        return result

    def mismatch(self, node: Node, wanted: Type, found: Type) -> Type:
        return self.problem(node.at, f"expected type '{wanted.text()}' but found '{found.text()}'")

    def _unmatched(self, node: Node, kinds: list[Type]) -> Type:
        shown = [self.found.applied(kind, free=DYN).text() for kind in kinds]
        signature = f"{shown[0]}.({', '.join(shown[1:])})" if node.targeted else f"({', '.join(shown)})"
        return self.problem(node.at, f"found no matching overload for '{node.name}' applied to '{signature}'")

    def _joined(self, node: Node, before: Type | None, kind: Type) -> Type:
        if before is None:
            return kind
        if self.found.assignable(before, kind):
            return most_general(before, kind)
        return self.mismatch(node, before, kind)

    def _unwrapped(self, node: Node, kind: Type, *, optional: bool) -> Type:
        """What an entry that may be absent has, when it is there."""
        if not optional:
            return kind
        kind = self.found.applied(kind)
        if types.is_optional(kind):
            return kind.params[0]
        if kind.kind not in ("dyn", "error"):
            self.mismatch(node, types.optional_of(kind), kind)
        return kind

    def _list(self, node: Node) -> Type:
        item: Type | None = None
        for index, part in enumerate(node.below):
            kind = self._unwrapped(part, self.check(part), optional=index in node.optional)
            item = self._joined(part, item, kind)
        return types.list_of(self.found.new() if item is None else item)

    def _map(self, node: Node) -> Type:
        key: Type | None = None
        value: Type | None = None
        for index in range(0, len(node.below), 2):
            name, part = node.below[index : index + 2]
            key = self._joined(name, key, self.check(name))
            kind = self._unwrapped(part, self.check(part), optional=index // 2 in node.optional)
            value = self._joined(part, value, kind)
        return types.map_of(key or self.found.new(), value or self.found.new())

    def _struct(self, node: Node) -> Type:
        made = self.declared.constructed(node.name)
        if made is None:
            for part in node.below:
                self.check(part)
            return self.problem(node.at, f"undeclared reference to '{node.name}' (in container '')")
        for index, ((name, at), part) in enumerate(zip(node.names, node.below, strict=True)):
            known: Field | None = made.find(name) if made.find is not None else None
            kind = self._unwrapped(part, self.check(part), optional=index in node.optional)
            if known is None:
                self.problem(at, f"undefined field '{name}'")
            elif not self.found.assignable(known.type, kind):
                wrong = f"expected type of field '{name}' is '{known.type.text()}' but provided type is '{kind.text()}'"
                self.problem(at, wrong)
        return made

    def _loop(self, node: Node) -> Type:
        ranged, first, *others = node.below
        over = self.found.applied(self.check(ranged))
        accumulated = self.check(first)
        before = self.scope
        self.scope = {**before, node.accumulator: accumulated}
        outer = self.scope
        self.scope = {**outer, **self._variables(node, over)}
        for part, wanted in zip(others[:2], (BOOL, accumulated), strict=True):
            kind = self.check(part)
            if not self.found.assignable(wanted, kind):
                self.mismatch(part, wanted, kind)
        self.scope = outer
        result = self.check(others[2])
        self.scope = before
        return self.found.applied(result)

    def _variables(self, node: Node, over: Type) -> dict[str, Type]:
        if over.kind == "list":
            kinds = (INT, over.params[0]) if node.other_name else (over.params[0], DYN)
        elif over.kind == "map":
            kinds = over.params[0], over.params[1]
        elif over.kind in ("dyn", "error", "param"):
            self.found.assignable(DYN, over)
            kinds = DYN, DYN
        else:
            wrong = "cannot be range of a comprehension (must be list, map, or dynamic)"
            kinds = self.problem(node.below[0].at, f"expression of type '{over.text()}' {wrong}"), ERROR
        found = {node.name: kinds[0]}
        return found | {node.other_name: kinds[1]} if node.other_name else found
