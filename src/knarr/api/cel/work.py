"""What an evaluation does that costs nothing: counted too, so that no expression keeps a server busy within its budget.

Kubernetes stops such expressions with the request's deadline; here nothing looks at a clock.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from knarr.api.cel.budget import BudgetExceeded

#: How much of it one evaluation may do: rounds of loops, comparisons of items.
MOST = 1_000_000
#: Its place in the frame of an evaluation.
WORK = 2
#: The frame of the evaluation that runs.
running: ContextVar[list[Any]] = ContextVar("running")


def spend(amount: int) -> None:
    """Count some. Raises `BudgetExceeded`."""
    frame = running.get(None)
    if frame is not None:
        count(frame, amount)


def count(frame: list[Any], amount: int) -> None:
    """The same where the frame is at hand."""
    frame[WORK] += amount
    if frame[WORK] > MOST:
        raise BudgetExceeded(call=True)
