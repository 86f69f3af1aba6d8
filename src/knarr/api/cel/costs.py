"""What evaluating an expression may cost at most, judged before it ever runs, from the sizes its schemas allow.

The model is that of CEL for Go (https://pkg.go.dev/github.com/google/cel-go/checker#CostEstimator); what the functions
cost stands in `function_costs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from knarr.api.cel import function_costs, types
from knarr.api.cel.function_costs import Argument, Entry
from knarr.api.cel.nodes import Node
from knarr.api.cel.shapes import element, escaped, is_list
from knarr.api.cel.sizes import MOST, UNKNOWN, Size, capped, exactly, most_elements
from knarr.api.cel.types import Type
from knarr.apimachinery.types import Object

_LIST, _MAP, _STRUCT = 10, 30, 40
_SCALARS = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})


@dataclass(frozen=True, slots=True)
class _Path:
    """Where in a schema a value stands; `shape` is None for a place that the schema does not have."""

    shape: Object | None


@dataclass(frozen=True, slots=True)
class _Local:
    """A variable of the expression itself."""

    path: _Path | None = None
    size: Size | None = None
    entry: Entry | None = None


def estimate(root: Node, shapes: Mapping[str, Object]) -> int:
    """The most that an expression may cost; `shapes` has the schemas of its variables."""
    return _Estimator(shapes).cost(root)


class _Estimator:
    def __init__(self, shapes: Mapping[str, Object]) -> None:
        self.shapes = shapes
        # Where nothing is known of where a value stands, Kubernetes looks at the schema as a whole.
        self.whole = _Path(next(iter(shapes.values()), None))
        self.locals: dict[str, _Local] = {}
        self.paths: dict[int, _Path] = {}
        self.sizes: dict[int, Size] = {}
        self.entries: dict[int, Entry] = {}
        self.kinds: dict[str, Callable[[Node], int]] = {
            "const": lambda node: 0,
            "ident": self._ident,
            "select": self._select,
            "call": self._call,
            "list": self._list,
            "map": self._map,
            "struct": lambda node: capped(sum(map(self.cost, node.below)) + _STRUCT),
            "loop": self._loop,
        }

    def cost(self, node: Node) -> int:
        return capped(self.kinds[node.kind](node))

    def size(self, node: Node) -> Size | None:
        """How big the value of a node may be, as far as anything is known."""
        known = self.sizes.get(id(node)) or _written(node)
        if known is not None:
            return known
        path = self._path(node)
        if path is not None and path.shape is not None:
            return Size(0, most_elements(path.shape))
        if _scalar(node.type):
            return exactly(1)
        local = self.locals.get(node.name) if node.kind == "ident" else None
        return None if local is None else local.size

    def entry(self, node: Node) -> Entry | None:
        """How big the keys and values of a list or a map may be."""
        found = self.entries.get(id(node))
        if found is not None or node.kind != "ident":
            return found
        local = self.locals.get(node.name)
        return None if local is None else local.entry

    def _path(self, node: Node) -> _Path | None:
        if node.kind == "ident" and node.name in self.locals:
            return self.locals[node.name].path
        return self.paths.get(id(node))

    def _step(self, node: Node, into: Callable[[Object], Object | None]) -> _Path:
        path = self._path(node)
        if path is None:
            return self.whole
        return _Path(None if path.shape is None else into(path.shape))

    def _argument(self, node: Node) -> Argument:
        return Argument(node, self.size(node), self._item(node), self.entry(node))

    def _item(self, node: Node) -> Size | None:
        """How big the items of a list may be: Kubernetes looks at schemas alone."""
        path = self._path(node)
        shape = None if path is None or path.shape is None else element(path.shape)
        return None if shape is None else Size(0, most_elements(shape))

    def _ident(self, node: Node) -> int:
        if node.name not in self.locals:
            self.paths[id(node)] = _Path(self.shapes.get(node.name))
        return 1

    def _select(self, node: Node) -> int:
        holder = node.below[0]
        cost = self.cost(holder)
        if node.test_only:
            return cost
        self.paths[id(node)] = self._step(holder, lambda shape: _property(shape, node.name))
        return cost + 1 if holder.type.kind in ("map", "object", "param") else cost

    def _list(self, node: Node) -> int:
        cost = sum(map(self.cost, node.below))
        sizes = [self.size(part) or UNKNOWN for part in node.below]
        self.entries[id(node)] = Entry("list", exactly(1), _union(sizes))
        return cost + _LIST

    def _map(self, node: Node) -> int:
        cost = sum(map(self.cost, node.below))
        sizes = [self.size(part) or UNKNOWN for part in node.below]
        self.entries[id(node)] = Entry("map", _union(sizes[::2]), _union(sizes[1::2]))
        return cost + _MAP

    def _call(self, node: Node) -> int:
        if node.name == "dyn":
            cost = self.cost(node.below[0])
            self._copy(node, node.below[0])
            return cost + 1
        costs = [self.cost(part) for part in node.below]
        given = [self._argument(part) for part in node.below]
        most, size = 0, None
        for overload in node.overloads:
            found = function_costs.call(node, overload, given, costs)
            most = max(most, capped(found.cost))
            size = found.size if size is None else size if found.size is None else size.or_else(found.size)
            size = self._indexed(node, overload) or size
        if node.name in ("_?_:_", "_+_"):
            self._joined(node, given[-2].entry, given[-1].entry)
        size = size or self.size(node)
        if size is not None:
            self.sizes[id(node)] = size
        return most

    def _indexed(self, node: Node, overload: str) -> Size | None:
        if overload not in ("index_list", "index_map"):
            return None
        holder = node.below[0]
        self.paths[id(node)] = self._step(holder, element)
        entry = self.entry(holder)
        return None if entry is None else entry.value

    def _joined(self, node: Node, one: Entry | None, two: Entry | None) -> None:
        if one is not None and two is not None:
            self.entries[id(node)] = Entry(one.kind, one.key.or_else(two.key), one.value.or_else(two.value))

    def _copy(self, node: Node, source: Node) -> None:
        size, entry = self.size(source), self.entry(source)
        if size is not None:
            self.sizes[id(node)] = size
        if entry is not None:
            self.entries[id(node)] = entry

    def _loop(self, node: Node) -> int:
        ranged, first, condition, step, result = node.below
        cost = self.cost(ranged) + self.cost(first)
        before = self.locals
        self.locals = {**before, node.accumulator: _Local(self._path(first), self.size(first), self.entry(first))}
        if node.macro == "bind":
            cost += self.cost(result)
            self._copy(node, result)
            self.locals = before
            return cost
        outer = self.locals
        self.locals = {**outer, **self._variables(node, ranged)}
        each = self.cost(condition) + self.cost(step)
        self.locals = outer
        cost += self.cost(result)
        self.locals = before
        count = self.size(ranged) or UNKNOWN
        self._collected(node, first, step, count)
        return cost + capped(count.most * each)

    def _collected(self, node: Node, first: Node, step: Node, count: Size) -> None:
        if first.kind == "const":
            self.sizes[id(node)] = self.size(first) or exactly(1)
            return
        self.sizes[id(node)] = count
        entry = self.entry(step)
        if entry is not None:
            self.entries[id(node)] = entry

    def _variables(self, node: Node, ranged: Node) -> dict[str, _Local]:
        entry = self.entry(ranged)
        listed = (entry.kind if entry is not None else ranged.type.kind) == "list"
        value = _Local(self._step(ranged, element), None if entry is None else entry.value)
        # A key has no schema, and of an index nothing is known but that it is one.
        key = _Local(self._step(ranged, _key), None if entry is None else entry.key)
        if node.other_name:
            return {node.name: key, node.other_name: value}
        return {node.name: value if listed else key}


def _union(sizes: list[Size]) -> Size:
    found = Size(MOST if sizes else 0, 0)
    for size in sizes:
        found = found.or_else(size)
    return found


def _key(shape: Object) -> Object | None:
    return None if is_list(shape) or element(shape) is None else {"type": "string", "maxLength": 0}


def _property(shape: Object, name: str) -> Object | None:
    if element(shape) is not None:
        return None
    known = {escaped(key): found for key, found in (shape.get("properties") or {}).items()}
    found = known.get(name)
    return found if isinstance(found, dict) else None


def _written(node: Node) -> Size | None:
    """The size of what is written out."""
    if node.kind == "const":
        return exactly(len(node.value) if isinstance(node.value, str | bytes) else 1)
    if node.kind in ("list", "map"):
        return exactly(len(node.below) if node.kind == "list" else len(node.below) // 2)
    return None


def _scalar(kind: Type) -> bool:
    return kind.kind in _SCALARS or (types.is_optional(kind) and _scalar(kind.params[0]))
