"""Expressions about values of a known schema: fields that the schema does not have cannot be asked for.

A shape is a JSON schema (`properties`, `items`, `additionalProperties`), or None for a value of which nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from knarr.api.cel.tree import Node, Tree
from knarr.apimachinery.types import Object

_SCALARS = {"integer": "int", "number": "double", "boolean": "bool"}
_FORMATS = {"byte": "bytes", "date": "timestamp", "date-time": "timestamp", "duration": "duration"}
_MOST_DEEP = 8
_NAME = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_KEYWORDS = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"}
    | {"let", "loop", "package", "namespace", "return", "var", "void", "while"}
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def escaped(name: str) -> str:
    """A property's name as expressions write it."""
    if name in _KEYWORDS:
        return f"__{name}__"
    for text, replacement in _ESCAPES.items():
        name = name.replace(text, replacement)
    return name


def cel_type(shape: Object | None) -> str:
    """The type of a value of this shape: `dyn` for an object with fields, or of which nothing is known."""
    if shape is None or shape.get("x-kubernetes-int-or-string"):
        return "dyn"
    kind = shape.get("type", "")
    if kind == "string":
        return _FORMATS.get(shape.get("format", ""), "string")
    if kind == "array":
        items = shape.get("items")
        return f"list<{cel_type(items)}>" if isinstance(items, dict) else "list"
    extra = shape.get("additionalProperties")
    if kind == "object" and isinstance(extra, dict):
        return f"map<{cel_type(extra)}>"
    return _SCALARS.get(kind, "dyn")


def variables(name: str, shape: Object, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The name with its type, and those of its fields that can be named: `self`, `self.replicas`."""
    yield name, cel_type(shape)
    if depth < _MOST_DEEP:
        for key, inner in (shape.get("properties") or {}).items():
            if _NAME.fullmatch(escaped(key)):
                yield from variables(f"{name}.{escaped(key)}", inner, depth + 1)


def undefined(tree: Tree, shapes: Mapping[str, Object]) -> list[tuple[int, str]]:
    """Offset and name of every field that is asked for and not there; `shapes` has those of the variables."""
    walk = _Walk(tree)
    walk.shape(tree.root, dict(shapes))
    return sorted(walk.found)


class _Walk:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.found: list[tuple[int, str]] = []

    def shape(self, node: Node, scope: dict[str, Object | None]) -> Object | None:
        """The shape of a node's value; what is missing below it is noted."""
        if node.kind == "ident":
            return scope.get(node.name)
        if node.kind == "select":
            return self._field(node, self.shape(node.below[0], scope))
        if node.kind == "loop":
            return self._loop(node, scope)
        shapes = [self.shape(part, scope) for part in node.below]
        if node.kind == "call" and node.name in ("_[_]", "_[?_]"):
            return element(shapes[0])
        return None

    def _field(self, node: Node, holder: Object | None) -> Object | None:
        if holder is None:
            return None
        if isinstance(holder.get("additionalProperties"), dict):
            return element(holder)
        properties = holder.get("properties") or {}
        known = {escaped(key): inner for key, inner in properties.items()}
        if holder.get("x-kubernetes-embedded-resource"):
            known = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}} | known
        if node.name in known:
            found: Object | None = known[node.name] or None
            return found
        if holder.get("type") == "object":
            self.found.append((self.tree.positions.get(node.id, 0), node.name))
        return None

    def _loop(self, node: Node, scope: dict[str, Object | None]) -> Object | None:
        ranged = self.shape(node.below[0], scope)
        inner = {**scope, node.name: element(ranged) if is_list(ranged) else None}
        if node.other_name:
            inner |= {node.name: None, node.other_name: element(ranged)}
        for part in node.below[1:]:
            self.shape(part, inner)
        return None


def is_list(shape: Object | None) -> bool:
    """Whether it is the shape of a list."""
    return shape is not None and shape.get("type") == "array"


def element(shape: Object | None) -> Object | None:
    """The shape of a list's items or a map's values."""
    if shape is None:
        return None
    items, extra = shape.get("items"), shape.get("additionalProperties")
    found = items if isinstance(items, dict) else extra
    return found if isinstance(found, dict) else None
