"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Pauses in seconds that double from `first` to `longest`, each drawn from the upper half of its range.

    `spread` gives numbers in [0, 1): many clients that lose one server must not come back in one moment.
    """

    def __init__(self, first: float, longest: float, spread: Callable[[], float] = random.random) -> None:
        self._first = first
        self._longest = longest
        self._spread = spread
        self._current = first

    def next(self) -> float:
        """The next pause."""
        pause = self._current * (1 + self._spread()) / 2
        self._current = min(self._current * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Begin anew: something worked."""
        self._current = self._first
