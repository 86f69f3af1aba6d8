"""Expressions that can be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from knarr.api.cel import costs, literals
from knarr.api.cel.budget import Budget, BudgetExceeded, EvaluationError
from knarr.api.cel.checker import check
from knarr.api.cel.closures import MISSING, Frame
from knarr.api.cel.environment import Environment, declarations, environment_about, shapes_of
from knarr.api.cel.evaluator import Compiler
from knarr.api.cel.lexer import SyntaxFault
from knarr.api.cel.nodes import Node
from knarr.api.cel.parser import parse
from knarr.api.cel.syntax import problem, syntax_problem
from knarr.api.cel.work import WORK, running
from knarr.apimachinery.types import Object

_TOO_DEEP = [(-1, "expression recursion limit exceeded: 250")]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The type of an expression, as Kubernetes writes it (`list(string)`), or what is wrong with it."""

    type: str = ""
    problem: str = ""


class Program:
    """A compiled expression: its `type`, or the `problem` with it; then it cannot be evaluated."""

    __slots__ = ("_run", "_shapes", "_size", "_variables", "problem", "root", "text", "type")

    def __init__(
        self, text: str, found: Compiled, root: Node | None = None, shapes: Mapping[str, Object] | None = None
    ) -> None:
        self.text, self.type, self.problem, self.root = text, found.type, found.problem, root
        self._shapes = shapes or {}
        self._run: Callable[[Frame], Any] | None = None
        self._size, self._variables = 0, dict[str, int]()

    def _compile(self) -> Callable[[Frame], Any]:
        if self.root is None:
            raise EvaluationError(self.problem)
        compiler = Compiler()
        run = compiler.value(self.root)
        # Last what others look for: another thread may evaluate meanwhile.
        self._size, self._variables, self._run = compiler.size, compiler.places, run
        return run

    def estimate(self) -> int:
        """The most that an evaluation may cost, by the schemas of its variables; 0 for what does not compile."""
        return 0 if self.root is None else costs.estimate(self.root, self._shapes)

    def evaluate(self, values: Mapping[str, Any], budget: Budget) -> Any:
        """The value, given those of the variables.

        Raises `EvaluationError` where there is none, `BudgetExceeded` where it costs more than one evaluation may, or
        than the budget has left. Variables that are not given count as unknown only when they are asked for.
        """
        run = self._run or self._compile()
        frame: Frame = [MISSING] * self._size
        frame[0], frame[1], frame[WORK] = 0, budget.per_call, 0
        for name, place in self._variables.items():
            frame[place] = values.get(name, MISSING)
        token = running.set(frame)
        try:
            return run(frame)
        except RecursionError:
            raise EvaluationError("expression recursion limit exceeded: 250") from None
        finally:
            running.reset(token)
            self._settle(frame, budget)

    @staticmethod
    def _settle(frame: Frame, budget: Budget) -> None:
        if frame[0] > frame[1]:
            budget.remaining -= frame[0]
            raise BudgetExceeded(call=True)
        budget.spend(frame[0])


def program(text: str, environment: Environment) -> Program:
    """The program of an expression; kept, except for expressions about schemas. Never raises for a bad one."""
    return _kept(text, environment) if environment.declared is None else _program(text, environment)


@lru_cache(maxsize=4096)
def _kept(text: str, environment: Environment) -> Program:
    return _program(text, environment)


def _program(text: str, environment: Environment) -> Program:
    try:
        root = parse(text, bindings=environment.devices)
        found = check(root, declarations(environment)) or literals.problems(root)
    except SyntaxFault as fault:
        return Program(text, Compiled(problem=syntax_problem(text, fault)))
    except RecursionError:
        return Program(text, Compiled(problem=problem(text, _TOO_DEEP)))
    if found:
        return Program(text, Compiled(problem=problem(text, found)))
    failed = literals.instantiation_problem(root)
    if failed:
        return Program(text, Compiled(problem=failed))
    return Program(text, Compiled(str(root.type)), root, shapes_of(environment))


def compile_expression(text: str, environment: Environment) -> Compiled:
    """What comes of an expression. Never raises for a bad one."""
    made = program(text, environment)
    return Compiled(made.type, made.problem)


def compile_about(text: str, shapes: Mapping[str, Object]) -> Compiled:
    """The same of an expression about values of known schemas: variable → its JSON schema."""
    return compile_expression(text, environment_about(shapes))


def cost_about(text: str, shapes: Mapping[str, Object]) -> int:
    """The most that an expression (one that compiles) about values of known schemas may cost."""
    return program(text, environment_about(shapes)).estimate()
