"""Which objects of a collection carry which value of a label, for the labels that lists select by.

Invariant: for every label that is indexed, `find` gives exactly the entries that a look at all of them would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

#: Labels of a collection that are indexed; the one that was asked for longest ago goes first.
_LABELS = 4


class Labelled(Protocol):
    """An object of the collection."""

    key: str
    head: Any


E = TypeVar("E", bound=Labelled)


class LabelIndex(Generic[E]):
    """Built for a label when it is first asked for, and kept current from then on."""

    def __init__(self) -> None:
        #: label → value → key → entry.
        self._found: dict[str, dict[str, dict[str, E]]] = {}

    def find(self, label: str, value: str, entries: Iterable[E]) -> Mapping[str, E]:
        """The entries with this value, by key, in no order; `entries` are those of the collection."""
        by_value = self._found.pop(label, None)
        if by_value is None:
            by_value = _built(label, entries)
            if len(self._found) >= _LABELS:
                del self._found[next(iter(self._found))]
        self._found[label] = by_value
        return by_value.get(value, {})

    def change(self, previous: E | None, entry: E | None) -> None:
        """An object came (no `previous`), was another one, or is gone (no `entry`)."""
        for label, by_value in self._found.items():
            before, after = _value(previous, label), _value(entry, label)
            if previous is not None and before is not None and before != after:
                _take(by_value, before, previous.key)
            if entry is not None and after is not None:
                by_value.setdefault(after, {})[entry.key] = entry

    def clear(self) -> None:
        """Forget everything: the collection is another one."""
        self._found.clear()


def _built(label: str, entries: Iterable[E]) -> dict[str, dict[str, E]]:
    by_value: dict[str, dict[str, E]] = {}
    for entry in entries:
        value = _value(entry, label)
        if value is not None:
            by_value.setdefault(value, {})[entry.key] = entry
    return by_value


def _value(entry: Labelled | None, label: str) -> str | None:
    labels: Mapping[str, str] | None = entry.head.metadata.labels if entry is not None else None
    return labels.get(label) if labels is not None else None


def _take(by_value: dict[str, dict[str, E]], value: str, key: str) -> None:
    bucket = by_value[value]
    del bucket[key]
    if not bucket:
        del by_value[value]
