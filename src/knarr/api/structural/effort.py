"""How much may be spent on the rules of one object at once, and what they tell besides errors."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What rules may cost, in CEL's units, without holding up others: some milliseconds.
QUICK = 10_000


class TooDearError(Exception):
    """Rules cost more than may be spent at once: nothing is known yet of what they say."""


@dataclass(slots=True)
class Effort:
    """`quick`: no more than `QUICK` is spent. `warnings`: rules that a value breaks which broke them before."""

    quick: bool = False
    warnings: list[str] = field(default_factory=list)
