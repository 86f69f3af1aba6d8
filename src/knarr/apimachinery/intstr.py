"""Values that are a count or a percentage (`maxUnavailable: 25%`)."""

from __future__ import annotations

import re

_PERCENT = re.compile(r"([+-]?[0-9]+)%")


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """The count that `value` means for `total` items: itself, or that percentage of them.

    Raises `ValueError` for a text that is no percentage.
    """
    if isinstance(value, int):
        return value
    share = percent(value)
    return -(-share * total // 100) if round_up else share * total // 100


def percent(value: str) -> int:
    """The number before the percent sign. Raises `ValueError` for a text that is no percentage."""
    match = _PERCENT.fullmatch(value)
    if match is None:
        raise ValueError("invalid value for IntOrString: invalid type: string is not a percentage")
    return int(match[1])
