"""Kubernetes' Common Expression Language: what an expression may use, what is wrong with it, what its value is.

An `Environment` says what an expression may refer to; `program` compiles a text for it (and keeps what came of that);
`Program.evaluate` gives its value, counted against a `Budget`. See the README beside this file.
"""

from __future__ import annotations

from knarr.api.cel.budget import MATCH_CONDITIONS, PER_CALL, PER_OBJECT, Budget, BudgetExceeded, EvaluationError
from knarr.api.cel.environment import Environment, environment_about, schema_environment
from knarr.api.cel.program import Compiled, Program, compile_about, compile_expression, cost_about, program
from knarr.api.cel.sizes import most_values
from knarr.api.cel.syntax import problem_error
from knarr.api.cel.values import Duration, Lazy, Optional, Timestamp, Uint

__all__ = [
    "MATCH_CONDITIONS",
    "PER_CALL",
    "PER_OBJECT",
    "Budget",
    "BudgetExceeded",
    "Compiled",
    "Duration",
    "Environment",
    "EvaluationError",
    "Lazy",
    "Optional",
    "Program",
    "Timestamp",
    "Uint",
    "compile_about",
    "compile_expression",
    "cost_about",
    "environment_about",
    "most_values",
    "problem_error",
    "program",
    "schema_environment",
]
