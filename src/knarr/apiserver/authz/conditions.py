"""For which requests a webhook is asked: expressions about the review it would get.

Input: expressions, the spec of a SubjectAccessReview. Output: yes, no, or why it cannot be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from knarr.apimachinery.types import Object

_ATTRIBUTES = ("group", "name", "namespace", "resource", "subresource", "verb", "version")
_ATTRIBUTES_OF_PATHS = ("path", "verb")


@cache
def environment() -> Any:
    """What the expressions may refer to: `request`."""
    from knarr.api.cel import Environment

    kinds = {
        "request": "dyn",
        "request.user": "string",
        "request.uid": "string",
        "request.groups": "list(string)",
        "request.extra": "map(string, list(string))",
        "request.resourceAttributes": "dyn",
        "request.resourceAttributes.fieldSelector": "dyn",
        "request.resourceAttributes.labelSelector": "dyn",
        "request.nonResourceAttributes": "dyn",
        **{f"request.resourceAttributes.{name}": "string" for name in _ATTRIBUTES},
        **{f"request.nonResourceAttributes.{name}": "string" for name in _ATTRIBUTES_OF_PATHS},
    }
    closed = frozenset({"request", "request.resourceAttributes", "request.nonResourceAttributes"})
    return Environment(tuple(sorted(kinds.items())), closed)


def problem(expression: str) -> str:
    """What is wrong with an expression; empty for a good one."""
    from knarr.api.cel import compile_expression

    found = compile_expression(expression, environment())
    if found.problem:
        return found.problem
    return "" if found.type == "bool" else f"must evaluate to bool, not {found.type}"


def match(expressions: Sequence[str], spec: Object) -> tuple[bool, str]:
    """Whether all of them hold, and what kept one from being told; one that does not hold outdoes an error."""
    from knarr.api.cel import Budget, BudgetExceeded, EvaluationError, program

    values, problems, budget = {"request": _complete(spec)}, [], Budget()
    for expression in expressions:
        try:
            if program(expression, environment()).evaluate(values, budget) is not True:
                return False, ""
        except (EvaluationError, BudgetExceeded) as error:
            problems.append(f"cel evaluation error: expression '{expression}' resulted in error: {error.message}")
    return not problems, ", ".join(problems)


def _complete(spec: Object) -> Object:
    """The spec with all the fields that are there even when they say nothing."""
    request = {"user": "", "uid": "", "groups": [], "extra": {}, **spec}
    for name, fields in (("resourceAttributes", _ATTRIBUTES), ("nonResourceAttributes", _ATTRIBUTES_OF_PATHS)):
        if name in request:
            request[name] = {**dict.fromkeys(fields, ""), **request[name]}
    return request
