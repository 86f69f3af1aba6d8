"""Texts that list the indexes of a Job: `0,2-5`."""

from __future__ import annotations


def parse_indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes a text names, all below `completions`, and what is wrong with it."""
    total, last = 0, -1
    for interval in text.split(",") if text else ():
        found = _interval(interval, completions)
        if isinstance(found, str):
            return 0, found
        first, final = found
        if first <= last:
            return 0, f"non-increasing order, previous: {last}, current: {first}"
        total, last = total + final - first + 1, final
    return total, ""


def _interval(text: str, completions: int) -> tuple[int, int] | str:
    """First and last index, or what is wrong."""
    ends = text.split("-")
    if len(ends) > 2:
        rule = "the requirement that an index interval can have at most two parts separated by '-'"
        return f'the fragment "{text}" violates {rule}'
    for end in ends:
        if not (end.isascii() and end.isdigit()):
            return f'cannot convert string to integer for index: "{end}"'
        if int(end) >= completions:
            return f'too large index: "{end}"'
    first, final = int(ends[0]), int(ends[-1])
    if len(ends) == 2 and final <= first:
        return f"non-increasing order, previous: {first}, current: {final}"
    return first, final


def overlap(done: str, failed: str, completions: int) -> int | None:
    """The first index that both texts name; intervals that are wrong count as none."""
    lists = []
    for text in (done, failed):
        found = [_interval(part, completions) for part in text.split(",")] if text else []
        lists.append([part for part in found if not isinstance(part, str)])
    common = [max(a, c) for a, b in lists[0] for c, d in lists[1] if a <= d and c <= b]
    return min(common, default=None)
