"""How big values can be: ranges of sizes, and what schemas allow.

Sources: https://pkg.go.dev/github.com/google/cel-go/checker#SizeEstimate, https://pkg.go.dev/k8s.io/apiserver/pkg/cel/common.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from knarr.api.cel.shapes import element
from knarr.apimachinery.types import Object

MOST = 2**64 - 1
#: The biggest request, in bytes.
_REQUEST = 3 * 1024 * 1024
_LONGEST = {"duration": 32, "date": 12, "date-time": 32}
_SHORTEST = {"duration": 3, "date": 12, "date-time": 21}
_SMALLEST = {"boolean": 4, "number": 1, "integer": 1, "string": 2, "array": 2, "object": 2}


class Size(NamedTuple):
    """At least and at most so many characters, items or entries; 2**64 - 1 stands for no bound."""

    least: int
    most: int

    def plus(self, other: Size) -> Size:
        """Both together."""
        return Size(capped(self.least + other.least), capped(self.most + other.most))

    def times(self, other: Size) -> Size:
        """One for each of the other."""
        return Size(capped(self.least * other.least), capped(self.most * other.most))

    def or_else(self, other: Size) -> Size:
        """One or the other."""
        return Size(min(self.least, other.least), max(self.most, other.most))


UNKNOWN = Size(0, MOST)


def exactly(size: int) -> Size:
    """Just so many."""
    return Size(size, size)


def capped(value: int) -> int:
    """A number that fits into 64 bits."""
    return min(value, MOST)


def share(size: int, factor: float) -> int:
    """A part of a size, rounded up; of one without bound nothing is taken away."""
    return capped(math.ceil(size * factor)) if size < MOST else MOST


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


def _bound(shape: Object, name: str, otherwise: int) -> int:
    return otherwise if shape.get(name) is None else max(int(shape[name]), 0)
