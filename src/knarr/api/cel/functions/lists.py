"""Functions of lists: Kubernetes' own, those of cel-go's package ext (lists, version 3) and its sets.

Sources: https://pkg.go.dev/k8s.io/apiserver/pkg/cel/library#Lists, https://pkg.go.dev/github.com/google/cel-go/ext.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from knarr.api.cel.budget import BudgetExceeded, EvaluationError
from knarr.api.cel.functions.registry import ANY, Library
from knarr.api.cel.operators import add, compare, contains, equal

library = Library()
#: No list may be made longer at once: it would not fit into any budget.
_LONGEST = 1_000_000


@library.add("isSorted", list)
def _is_sorted(items: list[Any]) -> bool:
    return all(compare(before, after) <= 0 for before, after in pairwise(items))


@library.add("sum", list)
def _sum(items: list[Any]) -> Any:
    # What an empty list adds up to depends on its type, see the evaluator.
    total = items[0]
    for item in items[1:]:
        total = add(total, item)
    return total


def _extreme(name: str, better: Callable[[int], bool]) -> Callable[[list[Any]], Any]:
    def found(items: list[Any]) -> Any:
        if not items:
            raise EvaluationError(f"{name} called on empty list")
        best = items[0]
        for item in items[1:]:
            if better(compare(item, best)):
                best = item
        return best

    return found


library.add("min", list)(_extreme("min", lambda order: order < 0))
library.add("max", list)(_extreme("max", lambda order: order > 0))


@library.add("indexOf", list, ANY)
def _index_of(items: list[Any], value: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(value, item)), -1)


@library.add("lastIndexOf", list, ANY)
def _last_index_of(items: list[Any], value: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(value, items[at])), -1)


@library.add("slice", list, int, int)
def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    asked = f"cannot slice({start}, {end})"
    if start < 0 or end < 0:
        raise EvaluationError(f"{asked}, negative indexes not supported")
    if start > end:
        raise EvaluationError(f"{asked}, start index must be less than or equal to end index")
    if len(items) < end:
        raise EvaluationError(f"{asked}, list is length {len(items)}")
    return items[start:end]


@library.add("flatten", list)
def _flatten(items: list[Any]) -> list[Any]:
    return _flatten_to(items, 1)


@library.add("flatten", list, int)
def _flatten_to(items: list[Any], depth: int) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    found: list[Any] = []
    for item in items:
        if not isinstance(item, list) or depth == 0:
            found.append(item)
        else:
            found += _flatten_to(item, depth - 1)
        if len(found) > _LONGEST:
            raise BudgetExceeded(call=True)
    return found


@library.add("lists.range", int)
def _range(count: int) -> list[int]:
    return list(range(count))


@library.add("reverse", list)
def _reverse(items: list[Any]) -> list[Any]:
    return items[::-1]


@library.add("distinct", list)
def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not contains(found, item):
            found.append(item)
    return found


@library.add("sort", list)
def _sort(items: list[Any]) -> list[Any]:
    return _sort_by(items, items)


@library.add("@sortByAssociatedKeys", list, list)
def _sort_by(items: list[Any], keys: list[Any]) -> list[Any]:
    if len(items) != len(keys):
        wrong = "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got"
        raise EvaluationError(f"{wrong} {len(items)} and {len(keys)} elements respectively")
    if any(type(key) is not type(keys[0]) for key in keys):
        raise EvaluationError("list elements must have the same type")
    pairs = sorted(zip(keys, items, strict=True), key=cmp_to_key(_by_key))
    return [item for _, item in pairs]


def _by_key(one: tuple[Any, Any], two: tuple[Any, Any]) -> int:
    return compare(one[0], two[0])


@library.add("sets.contains", list, list)
def _contains(items: list[Any], others: list[Any]) -> bool:
    return all(contains(items, other) for other in others)


@library.add("sets.equivalent", list, list)
def _equivalent(items: list[Any], others: list[Any]) -> bool:
    return _contains(items, others) and _contains(others, items)


@library.add("sets.intersects", list, list)
def _intersects(items: list[Any], others: list[Any]) -> bool:
    return any(contains(others, item) for item in items)
