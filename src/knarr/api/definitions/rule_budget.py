"""What the rules of one schema may cost together; of a custom resource's schema that has rules in CEL."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field

from knarr.api.validation.checks import Errors
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

_OF_RULE = 10_000_000
_OF_SCHEMA = 100_000_000
_MOST_SHOWN = 4
_HINT = "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings"


@dataclass(slots=True)
class Budget:
    """The costs seen so far, and where the dear ones are. `lenient`: no rule is too dear by itself."""

    total: int = 0
    lenient: bool = False
    dear: list[tuple[int, str]] = dataclass_field(default_factory=list)

    def spend(self, errors: Errors, path: str, subject: str, cost: int) -> None:
        """Count an expression; complain if it alone is too dear."""
        if cost > _OF_RULE and not self.lenient:
            errors.append(field.forbidden(path, _exceeded(f"estimated {subject} cost", cost, _OF_RULE)))
        self.total += cost
        if cost >= _OF_SCHEMA // 100:
            self.dear.append((cost, path))

    def check(self, errors: Errors, path: str) -> None:
        """Complain if all expressions together are too dear."""
        if self.total <= _OF_SCHEMA:
            return
        text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        shown = sorted(self.dear, key=lambda one: -one[0])[:_MOST_SHOWN]
        errors += [field.forbidden(where, text) for _, where in shown]
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        errors.append(field.forbidden(path, _exceeded(what, self.total, _OF_SCHEMA)))


def within(schema: Object, times: int | None) -> int | None:
    """How often a value inside of one that is there so many times can be there; None: without bound."""
    kind = schema.get("type", "")
    bound: int | None = 1
    if kind == "array":
        bound = schema.get("maxItems")
    elif kind == "object" and schema.get("additionalProperties") is not None:
        bound = schema.get("maxProperties")
    return None if times is None or bound is None else times * max(bound, 0)


def _exceeded(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    shown = "more than 100x" if factor > 100 else shown
    return f"{what} exceeds budget by factor of {shown} ({_HINT} are declared)"
