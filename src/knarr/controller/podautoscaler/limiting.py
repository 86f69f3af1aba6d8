"""Holds a recommendation back: windows of stabilization, rates of change, the least and the most. Pure.

Source of the rules and texts: pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas and below).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from knarr.apimachinery.types import Object
from knarr.controller.podautoscaler.memory import Recommendation, Rescale

_SLOWER_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_SLOWER_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_READY = ("ReadyForNewScale", "recommended size matches current size")
_HELD_UP = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_HELD_DOWN = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
#: Without a behavior: to how many times its size a target may grow at once, and to what size anyway.
_GROWTH, _GROWTH_ANYWAY = 2, 4
_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What the metrics ask for, beside what is and was. `window` (seconds) is that of scaling down, unless told."""

    replicas: int
    current: int
    least: int
    most: int
    now: datetime
    window: float
    recommendations: Sequence[Recommendation] = ()
    rescales: Sequence[Rescale] = ()


class Limited(NamedTuple):
    """A size, and what conditions `AbleToScale` (reason, message) and `ScalingLimited` (status too) say of it."""

    replicas: int
    able: tuple[str, str]
    is_limited: bool
    limit: tuple[str, str]


def limit(wish: Wish, behavior: Object | None) -> Limited:
    """The size that a wish comes to."""
    if behavior is None:
        steady, held = _highest(wish), _HELD_DOWN
        replicas, why = _within(wish, steady)
    else:
        up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
        steady, held = _stabilized(wish, up, down)
        replicas, why = _at_rate(wish, steady, up, down)
    return Limited(replicas, _READY if steady == wish.replicas else held, replicas != steady, why)


def longest_window(wish_window: float, behavior: Object | None) -> timedelta:
    """For how long recommendations count."""
    windows = [wish_window]
    for rules in (behavior or {}).values():
        windows.append(float((rules or {}).get("stabilizationWindowSeconds") or 0))
    return timedelta(seconds=max(windows))


def longest_period(behavior: Object | None) -> timedelta:
    """For how long changes of size count."""
    periods = [
        policy["periodSeconds"] for rules in (behavior or {}).values() for policy in (rules or {}).get("policies") or ()
    ]
    return timedelta(seconds=max(periods, default=0))


def _highest(wish: Wish) -> int:
    cutoff = wish.now - timedelta(seconds=wish.window)
    return max([wish.replicas, *(one.replicas for one in wish.recommendations if one.at >= cutoff)])


def _within(wish: Wish, replicas: int) -> tuple[int, tuple[str, str]]:
    most, why = _most(wish.most, max(_GROWTH * wish.current, _GROWTH_ANYWAY))
    if replicas < wish.least:
        return wish.least, _TOO_FEW
    return (most, why) if replicas > most else (replicas, _WITHIN)


def _most(most: int, growth: int) -> tuple[int, tuple[str, str]]:
    return (growth, _SLOWER_UP) if most > growth else (most, _TOO_MANY)


def _stabilized(wish: Wish, up: Object, down: Object) -> tuple[int, tuple[str, str]]:
    lowest = min([wish.replicas, *_recent(wish, float(up.get("stabilizationWindowSeconds") or 0))])
    window = down.get("stabilizationWindowSeconds")
    highest = max([wish.replicas, *_recent(wish, wish.window if window is None else float(window))])
    replicas = min(max(wish.current, lowest), highest)
    return replicas, _HELD_UP if wish.replicas >= wish.current else _HELD_DOWN


def _recent(wish: Wish, window: float) -> list[int]:
    cutoff = wish.now - timedelta(seconds=window)
    return [one.replicas for one in wish.recommendations if one.at > cutoff]


def _at_rate(wish: Wish, replicas: int, up: Object, down: Object) -> tuple[int, tuple[str, str]]:
    if replicas > wish.current:
        most, why = _most(wish.most, max(_highest_allowed(wish, up), wish.current))
        return (most, why) if replicas > most else (replicas, _WITHIN)
    if replicas < wish.current:
        floor = min(_lowest_allowed(wish, down), wish.current)
        least, why = (floor, _SLOWER_DOWN) if wish.least < floor else (wish.least, _TOO_FEW)
        return (least, why) if replicas < least else (replicas, _WITHIN)
    return replicas, _WITHIN


def _highest_allowed(wish: Wish, rules: Object) -> int:
    choice = rules.get("selectPolicy", "Max")
    if choice == "Disabled":
        return wish.current
    allowed = [_grown(_at_begin(wish, policy), policy) for policy in rules.get("policies") or ()]
    return min(allowed, default=_MOST) if choice == "Min" else max(allowed, default=wish.current)


def _lowest_allowed(wish: Wish, rules: Object) -> int:
    choice = rules.get("selectPolicy", "Max")
    if choice == "Disabled":
        return wish.current
    allowed = [_shrunk(_at_begin(wish, policy), policy) for policy in rules.get("policies") or ()]
    return max(allowed, default=-_MOST) if choice == "Min" else min(allowed, default=wish.current)


def _at_begin(wish: Wish, policy: Object) -> int:
    """The size as the period of a policy began."""
    cutoff = wish.now - timedelta(seconds=policy["periodSeconds"])
    return wish.current - sum(one.after - one.before for one in wish.rescales if one.at > cutoff)


def _grown(begin: int, policy: Object) -> int:
    if policy["type"] == "Pods":
        return begin + int(policy["value"])
    # Rounded up: a small target must grow at all.
    return min(math.ceil(begin * (1 + float(policy["value"]) / 100)), _MOST)


def _shrunk(begin: int, policy: Object) -> int:
    if policy["type"] == "Pods":
        return begin - int(policy["value"])
    return int(begin * (1 - float(policy["value"]) / 100))
