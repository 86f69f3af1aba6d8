"""Kubernetes' Common Expression Language: what an expression may use, and what is wrong with it.

Parsing and types are the work of `cel-expr-python`, Google's C++ implementation; its words are brought to those of the
Go implementation that Kubernetes uses. Input: the text of an expression and an `Environment`. Output: its type, or what
is wrong with it.
"""

from __future__ import annotations

from knarr.api.cel.compiler import Compiled, Environment, compile_about, compile_expression, cost_about
from knarr.api.cel.costs import most_values

__all__ = ["Compiled", "Environment", "compile_about", "compile_expression", "cost_about", "most_values"]
