"""Who is told of a collection's changes: found by where an object lies and what a field of it says.

Thousands of kubelets each watch the pods of one node, or one ConfigMap: a change must not cost a look at all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

C = TypeVar("C", contravariant=True)


class Demand(NamedTuple):
    """A value that a field must have, before or after a change."""

    field: str
    value: str
    #: Gives the field's value by an object's head.
    get: Callable[[Any], str]


class Follower(Protocol[C]):
    """What is told of a collection's changes.

    `prefix` is the collection's, a namespace's in it, or a whole key; with a `demand` it need not hear of more.
    """

    prefix: str

    @property
    def demand(self) -> Demand | None:
        """What it asks for, if that tells."""
        ...

    def push(self, change: C) -> None:
        """A change of what lies below the prefix."""
        ...

    def cut_off(self) -> None:
        """Changes were missed."""
        ...


class Followers(Generic[C]):
    """The followers of one collection."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        #: (prefix, field, value) → followers, in the order in which they came; field and value of a demand.
        self._found: dict[tuple[str, str, str], dict[Follower[C], None]] = {}
        #: The fields that are demanded, and by how many.
        self._fields: dict[str, tuple[Callable[[Any], str], int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def __iter__(self) -> Iterator[Follower[C]]:
        return iter([follower for found in self._found.values() for follower in found])

    def add(self, follower: Follower[C]) -> None:
        """Tell a follower from now on; one that is there already stays."""
        found = self._found.setdefault(_place(follower), {})
        demand = follower.demand
        if demand is not None and follower not in found:
            self._fields[demand.field] = demand.get, self._fields.get(demand.field, (None, 0))[1] + 1
        found[follower] = None

    def remove(self, follower: Follower[C]) -> None:
        """Tell a follower no longer."""
        place, demand = _place(follower), follower.demand
        found = self._found.get(place, {})
        if follower not in found:
            return
        del found[follower]
        if not found:
            del self._found[place]
        if demand is not None:
            get, count = self._fields.pop(demand.field)
            if count > 1:
                self._fields[demand.field] = get, count - 1

    def told(self, key: str, *heads: Any) -> list[Follower[C]]:
        """Who is told of a change of the object with this key; `heads` are its states."""
        if not self._found:
            return []
        prefixes = dict.fromkeys((self._prefix, key[: key.rindex("/") + 1], key))
        found = self._found
        told = [follower for prefix in prefixes for follower in found.get((prefix, "", ""), ())]
        for field, (get, _) in self._fields.items():
            for value in dict.fromkeys(map(get, heads)):
                told += [follower for prefix in prefixes for follower in found.get((prefix, field, value), ())]
        return told


def _place(follower: Follower[C]) -> tuple[str, str, str]:
    demand = follower.demand
    return (follower.prefix, demand.field, demand.value) if demand is not None else (follower.prefix, "", "")
