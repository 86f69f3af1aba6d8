"""The sequence of a merged list: what a patch orders, interleaved with what only the server has.

Input: items with the keys that tell them apart, the keys in the order the patch wants, and in the order the server
had. Output: the items. Both relative orders are kept; the patch's wins where they meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

#: An item and its key.
Keyed = tuple[Any, Any]


def identity(value: Any) -> tuple[str, Any]:
    """A hashable stand-in for a JSON value, which keeps `1` and `true` apart."""
    if isinstance(value, dict | list):
        return "json", orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return type(value).__name__, value


def arrange(
    items: Sequence[Keyed], wanted: Sequence[Any], server: Sequence[Any], last: Callable[[Any], bool]
) -> list[Any]:
    """The items in sequence. Those of the patch (in `wanted`) for which `last` holds go to the end of their part."""
    wanted_places, server_places = _places(wanted), _places(server)
    of_patch = _sorted([pair for pair in items if pair[0] in wanted_places], wanted_places, last)
    of_server = _sorted([pair for pair in items if pair[0] not in wanted_places], server_places, last)
    return [item for _, item in _interleaved(of_server, of_patch, server_places)]


def _places(keys: Sequence[Any]) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for at, key in enumerate(keys):
        places.setdefault(key, at)
    return places


def _sorted(pairs: list[Keyed], places: dict[Any, int], last: Callable[[Any], bool]) -> list[Keyed]:
    """Sorted by place. One without a place moves before everything that stands before it."""
    kept = [pair for pair in pairs if not last(pair[1])]
    if all(key in places for key, _ in kept):
        kept.sort(key=lambda pair: places[pair[0]])
    else:
        kept = _insertion_sorted(kept, places)
    return kept + [pair for pair in pairs if last(pair[1])]


def _insertion_sorted(pairs: list[Keyed], places: dict[Any, int]) -> list[Keyed]:
    out: list[Keyed] = []
    for pair in pairs:
        at = len(out)
        while at > 0 and _before(pair[0], out[at - 1][0], places):
            at -= 1
        out.insert(at, pair)
    return out


def _before(left: Any, right: Any, places: dict[Any, int]) -> bool:
    if left in places and right in places:
        return places[left] < places[right]
    return True


def _interleaved(left: list[Keyed], right: list[Keyed], places: dict[Any, int]) -> list[Keyed]:
    """Both sequences in one: an item of `left` goes before the first of `right` that the server had behind it."""
    out: list[Keyed] = []
    i = 0
    for pair in right:
        while i < len(left) and _known_before(left[i][0], pair[0], places):
            out.append(left[i])
            i += 1
        out.append(pair)
    return out + left[i:]


def _known_before(left: Any, right: Any, places: dict[Any, int]) -> bool:
    return left in places and right in places and places[left] < places[right]
