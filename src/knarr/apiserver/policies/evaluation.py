"""Runs the expressions of one policy about one request, within what they may cost.

A `Session` is one round of expressions (the rules of a policy, its messages, its conditions): they share a budget, and
variables, which are evaluated when the first of them is asked for, once.
Source: k8s.io/apiserver/pkg/admission/plugin/cel (activation.go, composition.go), pkg/apis/cel/config.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knarr.api.cel import Environment, Program

#: What the rules of a policy may cost with one binding and one set of parameters.
BUDGET = 10_000_000
#: What is evaluated at once; what costs more (some milliseconds) must not hold up other requests.
QUICK = 10_000

_SPENT = "validation failed due to running out of cost budget, no further validation rules will be run"


class OutOfBudgetError(Exception):
    """The expressions of a round cost more than they may, together: no other is run."""


class TooDearError(Exception):
    """Expressions cost more than is done at once: they have to be evaluated anew, aside."""


class Expression:
    """The text of an expression, and what it may refer to; compiled when it is first run."""

    __slots__ = ("_program", "environment", "text")

    def __init__(self, text: str, environment: Environment) -> None:
        self.text = text
        self.environment = environment
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """What can be run."""
        made = self._program
        if made is None:
            made = self._program = _cel().program(self.text, self.environment)
        return made


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an expression: a value, or an error; in how many seconds."""

    value: Any = None
    error: str = ""
    seconds: float = 0.0


@cache
def _cel() -> ModuleType:
    """What evaluates: loaded with the first policy."""
    from knarr.api import cel

    return cel


class Session:
    """One round of expressions about `values` (variable → value), with the policy's own `variables`.

    `limit` is what the round may cost, by default what Kubernetes allows for a policy and a binding; `left` is what is
    left of it. A `quick` round raises `TooDearError` when it costs more than is done at once.
    """

    def __init__(
        self,
        variables: Mapping[str, Expression],
        values: Mapping[str, Any],
        limit: int | None = None,
        *,
        quick: bool = False,
    ) -> None:
        limit = BUDGET if limit is None else limit
        self._quick = quick and limit > QUICK
        cel = self._cel = _cel()
        self._budget = cel.Budget(QUICK, QUICK) if self._quick else cel.Budget(limit)
        self._beyond = limit - self._budget.remaining
        self._values = values
        if variables:
            makers = {name: self._maker(name, expression) for name, expression in variables.items()}
            self._values = {**values, "variables": cel.Lazy(makers)}

    @property
    def left(self) -> int:
        """What the next expressions may cost."""
        remaining: int = self._budget.remaining
        return int(self._beyond) + remaining

    def run(self, expression: Expression) -> Outcome:
        """Evaluate one. Raises `OutOfBudgetError`, `TooDearError`."""
        began = perf_counter()
        problem = expression.program.problem
        if problem:
            # Stored before it was checked as it is today.
            return Outcome(error=f"compilation error: {problem}")
        try:
            value = self._value(expression)
        except self._cel.BudgetExceeded as error:
            raise OutOfBudgetError(_SPENT) from error
        except self._cel.EvaluationError as error:
            text = f"expression '{expression.text}' resulted in error: {error}"
            return Outcome(error=text, seconds=perf_counter() - began)
        return Outcome(value, seconds=perf_counter() - began)

    def _value(self, expression: Expression) -> Any:
        """The value. Raises `EvaluationError`, `BudgetExceeded` of the round."""
        try:
            return expression.program.evaluate(self._values, self._budget)
        except self._cel.BudgetExceeded as error:
            if self._quick:
                raise TooDearError from error
            if not error.call or self._budget.remaining < 0:
                raise
            # One that goes on and on fails by itself.
            raise self._cel.EvaluationError(str(error)) from error

    def _maker(self, name: str, expression: Expression) -> Callable[[], Any]:
        def make() -> Any:
            problem = expression.program.problem
            if problem:
                raise self._cel.EvaluationError(f'composited variable "{name}" fails to compile: {problem}')
            try:
                return self._value(expression)
            except self._cel.EvaluationError as error:
                raise self._cel.EvaluationError(f'composited variable "{name}" fails to evaluate: {error}') from error

        return make
