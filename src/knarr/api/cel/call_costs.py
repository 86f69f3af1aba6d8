"""What a call costs when it runs: a fixed number, or one that follows from the values.

Sources: https://pkg.go.dev/github.com/google/cel-go/interpreter#CostTracker,
https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#CostEstimator and cel-go's package ext (lists, sets).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Cost of a call: from its values (receiver first) and its result, which is None where the cost is asked for before.
Cost = Callable[[tuple[Any, ...], Any], int]
CHECK, SELECTOR_BASE = 350_000, 10
_SIZED = frozenset({str, bytes, list, dict})


def size(value: Any) -> int:
    """How many characters, bytes, items or entries a value has; 1 for what has none."""
    if type(value) in _SIZED or isinstance(value, list | dict):
        return len(value)
    known = getattr(value, "cost_size", 1)
    return int(known)


def tenth(count: int) -> int:
    """What reading so many characters costs."""
    return -(-count // 10)


def quarter(count: int) -> int:
    """What a pattern of so many characters adds."""
    return -(-count // 4)


def _traversal(value: Any) -> int:
    if type(value) is str:
        return len(value.encode()) // 10
    if type(value) is bytes:
        return len(value) // 10
    if isinstance(value, list):
        return sum(map(_traversal, value))
    if isinstance(value, dict):
        return sum(_traversal(key) + _traversal(found) for key, found in value.items())
    return 1


def _first(given: tuple[Any, ...], result: Any) -> int:
    return tenth(size(given[0]))


def _first_twice(given: tuple[Any, ...], result: Any) -> int:
    return tenth(size(given[0]) * 2)


def _all_of(given: tuple[Any, ...], result: Any) -> int:
    return _traversal(given[0])


def _pattern(given: tuple[Any, ...], result: Any) -> int:
    return tenth(size(given[0]) + 1) * quarter(size(given[1]))


def _joined(given: tuple[Any, ...], result: Any) -> int:
    return tenth(size(result) * 2)


def _selector(given: tuple[Any, ...], result: Any) -> int:
    length = size(given[1])
    # A requirement takes two characters at least, and costs as much as a list and a struct.
    return SELECTOR_BASE + tenth(length) + -(-length // 2) * 50


def _validate(given: tuple[Any, ...], result: Any) -> int:
    return tenth(size(given[1]) + 1) * quarter(given[0].pattern_size)


def _holds(*, network: bool, text: bool) -> Cost:
    def cost(given: tuple[Any, ...], result: Any) -> int:
        own = size(given[0])
        found = tenth(own * 2) + (tenth(own) + 1 if network else 0)
        return found + (tenth(size(given[1])) if text else 0)

    return cost


def _listed(given: tuple[Any, ...], result: Any) -> int:
    return size(result) + 11


def _flattened(given: tuple[Any, ...], result: Any) -> int:
    return size(given[0]) * (given[1] if len(given) == 2 else 1) + 11


def _compared(index: int) -> Cost:
    def cost(given: tuple[Any, ...], result: Any) -> int:
        items = given[index]
        factor = 21 if items and type(items[0]) in (str, bytes) else 20
        return len(items) ** 2 * factor // 10 + 11

    return cost


def _sets(given: tuple[Any, ...], result: Any) -> int:
    return size(given[0]) * size(given[1]) + 1


def _sets_twice(given: tuple[Any, ...], result: Any) -> int:
    return size(given[0]) * size(given[1]) * 2 + 1


def _smaller(given: tuple[Any, ...], result: Any) -> int:
    return tenth(min(size(given[0]), size(given[1])))


def _same(given: tuple[Any, ...], result: Any) -> int:
    return 1 if hasattr(given[0], "kind") and not isinstance(given[0], dict) else _smaller(given, result)


def _both(given: tuple[Any, ...], result: Any) -> int:
    return tenth(size(given[0]) + size(given[1]))


def _contained(given: tuple[Any, ...], result: Any) -> int:
    return tenth(size(given[0])) * tenth(size(given[1]))


def _among(given: tuple[Any, ...], result: Any) -> int:
    return size(given[1])


_BY_NAME: dict[str, int | Cost] = {
    "check": CHECK,
    "fieldSelector": _selector,
    "labelSelector": _selector,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _all_of),
    **dict.fromkeys(("url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey"), _first),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _first),
    **dict.fromkeys(("replace", "split", "ip.isCanonical"), _first_twice),
    "join": _joined,
    **dict.fromkeys(("find", "findAll"), _pattern),
    "validate": _validate,
    "_==_": _same,
}
_BY_OVERLOAD: dict[str, int | Cost] = {
    **dict.fromkeys(("starts_with_string", "ends_with_string"), lambda given, result: tenth(size(given[1]))),
    **dict.fromkeys(("string_to_bytes", "bytes_to_string"), _first),
    "in_list": _among,
    **dict.fromkeys(("string_format", "strings_quote"), _first),
    **{
        f"{word}_{kind}": _smaller
        for word in ("less", "less_equals", "greater", "greater_equals")
        for kind in ("string", "bytes")
    },
    "not_equals": _smaller,
    **dict.fromkeys(("add_string", "add_bytes"), _both),
    "matches": _pattern,
    "matches_string": _pattern,
    "contains_string": _contained,
    "string_to_ip": _first,
    "cidr_contains_ip_string": _holds(network=False, text=True),
    "cidr_contains_ip_ip": _holds(network=False, text=False),
    "cidr_contains_cidr_string": _holds(network=True, text=True),
    "cidr_contains_cidr": _holds(network=True, text=False),
    "list_slice": _listed,
    "lists_range": lambda given, result: max(given[0], 0) + 11,
    "list_reverse": lambda given, result: size(given[0]) + 11,
    "list_flatten": _flattened,
    "list_flatten_int": _flattened,
    "list_distinct": _compared(0),
    "list_contains_list": _sets,
    "list_intersects_list": _sets,
    "list_equivalent_list": _sets_twice,
}
#: Costs that follow from the result.
BY_RESULT = frozenset({_joined, _listed})


def call_cost(name: str, overloads: tuple[str, ...]) -> int | Cost:
    """What calls of a function cost, given which overloads of it they may mean."""
    known = _BY_NAME.get(name)
    if known is not None:
        return known
    overload = overloads[0] if len(overloads) == 1 else ""
    if overload.endswith("_sort"):
        return _compared(0)
    if overload.endswith("_sortByAssociatedKeys"):
        return _compared(1)
    return _BY_OVERLOAD.get(overload, 1)


__all__ = ["BY_RESULT", "CHECK", "Cost", "call_cost", "quarter", "size", "tenth"]
