"""Lists of resources with their amounts (`limits`, `capacity`, `hard`)."""

from __future__ import annotations

from typing import Any

from knarr.apimachinery import quantity
from knarr.apimachinery.types import Object

_THOUSANDTH = -3


def round_up(holder: Object | None, *names: str) -> None:
    """Round amounts below a thousandth up to one, in the lists of those names."""
    if not holder:
        return
    for name in names:
        listed: dict[str, Any] = holder.get(name) or {}
        for resource, amount in listed.items():
            # Only these suffixes stand for less than a thousandth in a canonical quantity.
            if amount[-1] in "nu":
                listed[resource] = str(quantity.parse(amount).round_up(_THOUSANDTH))


def requirements(resources: Object | None) -> None:
    """Round the amounts of `limits` and `requests`."""
    round_up(resources, "limits", "requests")
