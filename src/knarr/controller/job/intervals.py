"""Sets of completion indexes as ordered intervals: `0,2-5`.

Input and output: tuples of (first, last), ascending, that neither touch nor overlap. The work is bounded by the number
of intervals, never by the number of indexes they stand for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Intervals: TypeAlias = tuple[tuple[int, int], ...]


def parse(text: str | None, completions: int) -> Intervals:
    """The indexes below `completions` that a text names; intervals that make no sense are left out."""
    found: list[tuple[int, int]] = []
    for part in (text or "").split(","):
        first, hyphen, last = part.partition("-")
        if not (_is_number(first) and (_is_number(last) or not hyphen)):
            continue
        ends = int(first), min(int(last) if hyphen else int(first), completions - 1)
        if ends[0] <= ends[1]:
            found.append(ends)
    return _merged(sorted(found))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def text(intervals: Intervals) -> str:
    """As the API writes them: `0,2,3,5-7`."""
    return ",".join(_shown(first, last) for first, last in intervals)


def _shown(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def of(indexes: Iterable[int]) -> Intervals:
    """The intervals of single indexes."""
    return _merged([(index, index) for index in sorted(set(indexes))])


def union(one: Intervals, *others: Intervals) -> Intervals:
    """The indexes that are in any."""
    return _merged(sorted([*one, *(interval for other in others for interval in other)]))


def _merged(ascending: Sequence[tuple[int, int]]) -> Intervals:
    out: list[tuple[int, int]] = []
    for first, last in ascending:
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return tuple(out)


def total(intervals: Intervals) -> int:
    """How many indexes there are."""
    return sum(last - first + 1 for first, last in intervals)


def has(intervals: Intervals, index: int) -> bool:
    """Whether an index is among them."""
    at = bisect_left(intervals, index, key=lambda interval: interval[1])
    return at < len(intervals) and intervals[at][0] <= index


def common(one: Intervals, other: Intervals) -> int:
    """How many indexes are in both."""
    count = left = right = 0
    while left < len(one) and right < len(other):
        (first, last), (begin, end) = one[left], other[right]
        count += max(0, min(last, end) - max(first, begin) + 1)
        left, right = left + (last <= end), right + (end <= last)
    return count


def first_missing(intervals: Intervals, count: int, completions: int) -> list[int]:
    """The lowest indexes below `completions` that are not among them, at most `count`."""
    out: list[int] = []
    candidate = 0
    for first, last in (*intervals, (completions, completions)):
        end = min(first, completions, candidate + count - len(out))
        out.extend(range(candidate, end))
        if len(out) >= count:
            break
        candidate = max(candidate, last + 1)
    return out
