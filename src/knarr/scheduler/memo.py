"""What is remembered of nodes for pods alike, until a node changes in what placement looks at."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

#: More kinds of pods than this at once are rare; then all begins anew.
_MOST = 64
_T = TypeVar("_T")


class Memo:
    """Values by key. `forget` when nodes come, go, or change their labels, taints or `unschedulable`."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def get(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        """The value of a key, computed if it is not known."""
        value: _T | None = self._values.get(key)
        if value is None:
            if len(self._values) >= _MOST:
                self._values.clear()
            value = self._values[key] = compute()
        return value

    def forget(self) -> None:
        """Begin anew."""
        self._values.clear()
