"""Whether the match conditions of a policy or a webhook hold for a request.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions/matcher.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knarr.apiserver.policies.evaluation import Expression, OutOfBudgetError, Session

#: What all conditions of a policy may cost: a quarter of what its rules may.
_BUDGET = 2_500_000


class ConditionsError(Exception):
    """A condition cannot be told, no other is false, and that must not be taken for one that is false."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions, the variables that they may refer to, and whether one that cannot be told counts as false."""

    expressions: tuple[Expression, ...]
    ignores_failures: bool
    variables: Mapping[str, Expression] = field(default_factory=dict)

    def hold(self, values: Mapping[str, Any], *, quick: bool = False) -> bool:
        """Whether no condition is false. Raises `ConditionsError`, and `TooDearError` if it is to be quick."""
        if not self.expressions:
            return True
        session = Session(self.variables, {**values, **_narrower(values)}, _BUDGET, quick=quick)
        errors: dict[str, None] = {}
        try:
            for outcome in [session.run(expression) for expression in self.expressions]:
                if outcome.value is False:
                    return False
                if outcome.error:
                    errors[outcome.error] = None
        except OutOfBudgetError as error:
            errors = {str(error): None}
        if errors and not self.ignores_failures:
            texts = list(errors)
            raise ConditionsError(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
        return not errors


def _narrower(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What conditions see otherwise than rules: no namespace, and the resource that was asked for."""
    request = values["request"]
    return {"namespaceObject": None, "request": {**request, "resource": request.get("requestResource")}}
