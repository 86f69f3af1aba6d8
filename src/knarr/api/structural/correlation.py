"""What a value was before an update: old and new values that are the same place of an object.

Fields go with fields of that name, items of keyed lists with items of the same keys; items of other lists go with none.
Source: k8s.io/apiserver/pkg/cel/common, equality.go and maplist.go.
"""

from __future__ import annotations

from typing import Any

import orjson

from knarr.api.structural.node import Node

#: Tells a value that was not there from one that was null.
_ABSENT: Any = object()


class Correlation:
    """A value and the one it was: of a place that both objects have."""

    __slots__ = ("_by_key", "_equal", "new", "node", "old")

    def __init__(self, node: Node, old: Any, new: Any) -> None:
        self.node, self.old, self.new = node, old, new
        self._equal: bool | None = None
        self._by_key: dict[str, Any] | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the value is what it was."""
        if self._equal is None:
            self._equal = same(self.old, self.new)
        return self._equal

    def key(self, name: str) -> Correlation | None:
        """The same of a member; None where there is nothing to compare it with."""
        if not isinstance(self.old, dict) or not isinstance(self.new, dict):
            return None
        old, new = self.old.get(name, _ABSENT), self.new.get(name, _ABSENT)
        node = self.node.member(name)
        if node is None or (old is _ABSENT and new is _ABSENT):
            return None
        return Correlation(node, None if old is _ABSENT else old, None if new is _ABSENT else new)

    def index(self, at: int) -> Correlation | None:
        """The same of a list's item; None for one without a key, or that is new."""
        node = self.node.items
        if not isinstance(self.old, list) or not isinstance(self.new, list) or node is None:
            return None
        old = self.old_item(self.new[at])
        return None if old is None else Correlation(node, old, self.new[at])

    def old_item(self, item: Any) -> Any:
        """The item of the old list with the keys of this one, None where there is none."""
        if self.node.schema.get("x-kubernetes-list-type") != "map" or not isinstance(self.old, list):
            return None
        keys = self.node.schema.get("x-kubernetes-list-map-keys") or ()
        if self._by_key is None:
            self._by_key = {}
            for one in self.old:
                if isinstance(one, dict):
                    self._by_key.setdefault(_key_text(keys, one), one)
        return self._by_key.get(_key_text(keys, item)) if isinstance(item, dict) else None


def _key_text(keys: Any, item: dict[str, Any]) -> str:
    return orjson.dumps([item.get(key) for key in keys]).decode()


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, as Go compares them: true is no 1, and 1 no 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
