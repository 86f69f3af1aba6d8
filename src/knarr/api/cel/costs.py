"""What evaluating an expression may cost at most, judged before it ever runs, from the sizes its schemas allow.

Where nothing is known of the size of a made value the estimate is low, save for texts made of other values. The model
is that of CEL for Go (https://pkg.go.dev/github.com/google/cel-go/checker#CostEstimator).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from knarr.api.cel.nodes import Node
from knarr.api.cel.shapes import element, escaped, is_list
from knarr.apimachinery.types import Object

MOST = 2**64 - 1
#: The biggest request, in bytes.
_REQUEST = 3 * 1024 * 1024
_LONGEST = {"duration": 32, "date": 12, "date-time": 32}
_SHORTEST = {"duration": 4, "date": 12, "date-time": 22}
_SMALLEST = {"boolean": 4, "number": 1, "integer": 1, "string": 2, "array": 2, "object": 2}
_TEXT, _PATTERN = 0.1, 0.25
_MADE = {"list": 10, "struct": 40}
_MAP = 30
_COMPARISONS = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
#: Functions that read the whole of their first operand.
_READING = frozenset(
    ("lowerAscii", "upperAscii", "substring", "trim", "replace", "split", "join", "format", "bytes", "url", "isURL")
    + ("quantity", "isQuantity", "ip", "isIP", "cidr", "isCIDR")
)
_LISTING = frozenset({"isSorted", "sum", "max", "min"})


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a node: what it costs at most, how many elements or characters it has, its schema."""

    cost: int
    size: int = 0
    shape: Object | None = None


def most_elements(shape: Object | None) -> int:
    """How many items, entries or characters a value of a schema can have; 0 for what has none."""
    if shape is None:
        return 0
    kind, inner = shape.get("type", ""), element(shape)
    if kind == "array":
        return _bound(shape, "maxItems", (_REQUEST - 2) // (smallest(inner) + 1))
    if kind == "object":
        return 0 if inner is None else _bound(shape, "maxProperties", (_REQUEST - 2) // (smallest(inner) + 6))
    if kind != "string" and not shape.get("x-kubernetes-int-or-string"):
        return 0
    name = shape.get("format", "")
    if name in _LONGEST:
        return _LONGEST[name]
    if shape.get("maxLength") is not None:
        # The bound is one of characters, of up to four bytes each.
        return max(int(shape["maxLength"]), 0) * (1 if name == "byte" else 4)
    texts = [len(value.encode()) for value in shape.get("enum") or () if isinstance(value, str)]
    return max(texts) if texts else _REQUEST - 2


def smallest(shape: Object | None) -> int:
    """How few bytes a value of a schema can take, as JSON."""
    if shape is None or shape.get("x-kubernetes-int-or-string"):
        return 1
    kind, size = shape.get("type", ""), 0
    if kind == "object" and element(shape) is None:
        known = shape.get("properties") or {}
        for name in shape.get("required") or ():
            if name in known and known[name].get("default") is None:
                size += len(name.encode()) + smallest(known[name]) + 4
    own = _SHORTEST.get(shape.get("format", ""), 2) if kind == "string" else _SMALLEST.get(kind, 1)
    return own + size


def most_values(shape: Object) -> int:
    """How many values of a schema fit into a request."""
    return _REQUEST // (smallest(shape) + 1)


def estimate(root: Node, shapes: Mapping[str, Object]) -> int:
    """The most that an expression may cost; `shapes` has the schemas of its variables."""
    scope = {name: Value(1, most_elements(shape), shape) for name, shape in shapes.items()}
    return min(_Estimator().value(root, scope).cost, MOST)


def _bound(shape: Object, name: str, otherwise: int) -> int:
    return otherwise if shape.get(name) is None else max(int(shape[name]), 0)


def _part(size: int, factor: float) -> int:
    return MOST if size >= MOST else math.ceil(size * factor)


def _of(cost: int, shape: Object | None) -> Value:
    return Value(cost, most_elements(shape), shape)


def _literal(node: Node) -> int:
    return len(node.value) if isinstance(node.value, str | bytes) else 1


class _Estimator:
    def __init__(self) -> None:
        self.kinds: dict[str, Callable[[Node, dict[str, Value]], Value]] = {
            "ident": self._ident,
            "select": self._select,
            "call": self._call,
            "list": self._made,
            "struct": self._made,
            "map": self._made,
            "loop": self._loop,
        }

    def value(self, node: Node, scope: dict[str, Value]) -> Value:
        found = self.kinds.get(node.kind)
        return Value(0, _literal(node)) if found is None else found(node, scope)

    def _ident(self, node: Node, scope: dict[str, Value]) -> Value:
        known = scope.get(node.name)
        return Value(1) if known is None else Value(1, known.size, known.shape)

    def _select(self, node: Node, scope: dict[str, Value]) -> Value:
        holder = self.value(node.below[0], scope)
        if node.test_only:
            return Value(holder.cost, 1)
        shape = holder.shape or {}
        inner = element(shape)
        if inner is None:
            fields = {escaped(name): found for name, found in (shape.get("properties") or {}).items()}
            inner = fields.get(node.name)
        return _of(holder.cost + 1, inner)

    def _made(self, node: Node, scope: dict[str, Value]) -> Value:
        cost = sum(self.value(part, scope).cost for part in node.below)
        if node.kind == "map":
            return Value(cost + _MAP, len(node.below) // 2)
        return Value(cost + _MADE[node.kind], len(node.below))

    def _loop(self, node: Node, scope: dict[str, Value]) -> Value:
        ranged, *others = node.below
        over = self.value(ranged, scope)
        first, inner = self.value(others[0], scope), element(over.shape)
        accumulated = {node.accumulator: first}
        if ranged.kind == "list" and not ranged.below:
            # `cel.bind`: the value of a variable, for the result.
            result = self.value(others[-1], {**scope, node.accumulator: first})
            return Value(over.cost + first.cost + result.cost, result.size, result.shape)
        item = _of(1, inner) if is_list(over.shape) else Value(1)
        within = {**scope, **accumulated, node.name: item}
        if node.other_name:
            within |= {node.name: Value(1), node.other_name: _of(1, inner)}
        condition, step, result = (self.value(part, within) for part in others[1:])
        each = condition.cost + step.cost
        size = over.size if others[0].kind in ("list", "map") else 1
        return Value(over.cost + first.cost + result.cost + over.size * each, size)

    def _call(self, node: Node, scope: dict[str, Value]) -> Value:
        given = [self.value(part, scope) for part in node.below]
        cost, name = sum(value.cost for value in given), node.name
        sizes = [value.size for value in given]
        if name in ("_&&_", "_||_"):
            return Value(cost, 1)
        if name == "_?_:_":
            chosen = max(given[1:], key=lambda value: value.size)
            return Value(given[0].cost + max(value.cost for value in given[1:]), chosen.size, chosen.shape)
        if name in ("_[_]", "_[?_]"):
            return _of(cost + 1, element(given[0].shape))
        own, size = self._own(node, sizes)
        return Value(cost + own, min(size, MOST))

    def _own(self, node: Node, sizes: list[int]) -> tuple[int, int]:  # noqa: PLR0911 - one rule each
        """What a function itself costs, and the size of what it gives."""
        name = node.name
        overloads = node.overloads
        if name == "_+_" and ("add_string" in overloads or "add_bytes" in overloads):
            return _part(sum(sizes), _TEXT), sum(sizes)
        if name in _COMPARISONS and any(found in ("equals", "not_equals") or "string" in found for found in overloads):
            return _part(min(sizes), _TEXT), 1
        if name in ("matches", "find", "findAll"):
            return _part(sizes[0] + 1, _TEXT) * _part(sizes[1], _PATTERN), sizes[0]
        if name == "contains" and "contains_string" in overloads:
            return _part(sizes[0], _TEXT) * _part(sizes[1], _TEXT), 1
        if name in ("startsWith", "endsWith"):
            return _part(sizes[1], _TEXT), 1
        if name == "@in" and "in_list" in overloads:
            return sizes[1], 1
        if name in _LISTING:
            return sizes[0], 1
        if name in _READING:
            return _part(sizes[0], _TEXT), sizes[0]
        return 1, MOST if name == "string" else sizes[0] if name in ("dyn", "_+_") else 1
