"""What evaluating expressions may cost.

Cost is counted as CEL for Go counts it
(https://pkg.go.dev/github.com/google/cel-go/interpreter#CostTracker), the limits
are Kubernetes' (https://pkg.go.dev/k8s.io/apiserver/pkg/apis/cel).
"""

from __future__ import annotations

#: Of one evaluation.
PER_CALL = 1_000_000
#: Of all evaluations for one object (custom resource, policy binding), and of one webhook's match conditions.
PER_OBJECT = 10_000_000
MATCH_CONDITIONS = 2_500_000


class EvaluationError(Exception):
    """An expression that has no value; `message` as CEL for Go words it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BudgetExceeded(Exception):
    """Evaluation was broken off: it cost too much. `call` tells that it was this one alone that did."""

    def __init__(self, *, call: bool) -> None:
        super().__init__(
            "operation cancelled: actual cost limit exceeded"
            if call
            else "validation failed due to running out of cost budget, no further validation rules will be run"
        )
        self.call = call
        self.message = str(self)


class Budget:
    """What is left for a series of evaluations: `remaining`; no one of them may cost more than `per_call`."""

    __slots__ = ("per_call", "remaining")

    def __init__(self, limit: int = PER_OBJECT, per_call: int = PER_CALL) -> None:
        self.remaining, self.per_call = limit, per_call

    def spend(self, cost: int) -> None:
        """Count what an evaluation has cost. Raises `BudgetExceeded`."""
        self.remaining -= cost
        if self.remaining < 0:
            raise BudgetExceeded(call=False)
