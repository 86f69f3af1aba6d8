"""Who is told of a change is who would be, were all of them looked at."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knarr.apiserver.followers import Demand, Followers

ALL = "/registry/pods/"


def get(head: Any) -> str:
    return str(head)


class One:
    """A follower."""

    def __init__(self, prefix: str, value: str | None) -> None:
        self.prefix = prefix
        self.demand = Demand("spec.nodeName", value, get) if value is not None else None

    def push(self, change: object) -> None:
        raise AssertionError("nobody tells")

    def cut_off(self) -> None:
        raise AssertionError("nobody tells")

    def hears(self, key: str, heads: list[str]) -> bool:
        below = key == self.prefix or (self.prefix.endswith("/") and key.startswith(self.prefix))
        return below and (self.demand is None or self.demand.value in heads)


PREFIXES = st.sampled_from([ALL, ALL + "a/", ALL + "b/", ALL + "a/x", ALL + "a/xy", ALL + "b/x"])
VALUES = st.sampled_from(["", "n1", "n2"])


@given(
    st.lists(st.tuples(PREFIXES, st.none() | VALUES), max_size=8),
    st.lists(st.integers(0, 7), max_size=8),
    st.sampled_from(["a/x", "a/xy", "b/x", "c/x"]),
    st.lists(VALUES, min_size=1, max_size=2),
)
def test_told_are_exactly_those_who_ask_for_it(
    made: list[tuple[str, str | None]], gone: list[int], name: str, heads: list[str]
) -> None:
    followers: Followers[object] = Followers(ALL)
    there = [One(*each) for each in made]
    for each in [*there, *there]:
        followers.add(each)
    for index in gone:
        if index < len(made):
            followers.remove(there[index])
    left = [each for index, each in enumerate(there) if index not in gone]
    told = followers.told(ALL + name, *heads)
    assert len(told) == len(set(map(id, told)))
    assert set(map(id, told)) == {id(each) for each in left if each.hears(ALL + name, heads)}
    assert len(followers) == len(left) == len(list(followers))
