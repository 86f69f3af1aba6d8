"""Lists that are asked for again and again are kept in runs of joined objects, of which a change spoils one.

Going through a thousand objects and joining them costs a list as much as encrypting it. What is kept is a second copy
of the objects' bytes: it is for lists that were asked for twice within `_REMEMBERED` seconds, within `_MOST` bytes
altogether, and goes when nobody asks for it any more.

Invariant: the joined runs are the bodies of the entries that `find` gives now, in its order, with commas between them.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from itertools import accumulate

from knarr.apiserver.watch_cache import Collection, Entry

#: Bytes of a run, at most (but of a single object): what is encrypted and sent as one, and fills TLS' records.
_RUN = 64 * 1024
#: Bytes that are kept at most, and questions that are remembered.
_MOST, _QUESTIONS = 16 * 1024 * 1024, 256
#: Seconds for which a list is kept after it was asked for.
_REMEMBERED = 15.0


class _Kept:
    """One list: its runs, and the entries that each is made of."""

    __slots__ = ("asked_at", "changed", "collection", "runs", "size", "sources", "too_long")

    def __init__(self, collection: Collection, now: float) -> None:
        self.collection = collection
        self.asked_at = now
        #: The collection's last change when the runs were made; -1: there are none.
        self.changed = -1
        self.runs: list[bytes] = []
        self.sources: list[list[Entry]] = []
        self.size = 0
        #: It is not kept until it is forgotten that it was asked for.
        self.too_long = False

    def renew(self, entries: list[Entry]) -> None:
        """Make the runs of these entries, those that are the same as before excepted."""
        sizes = list(accumulate([len(entry.body) for entry in entries]))
        if sizes and sizes[-1] > _MOST:
            self.runs, self.sources, self.size, self.too_long = [], [], 0, True
            return
        sources = _cut(entries, sizes)
        before, last = self.sources, len(sources) - 1
        runs = []
        for number, source in enumerate(sources):
            # Lists of the same entries: that is a look at their places in memory only.
            same = number < len(before) and (number == last) == (number == len(before) - 1)
            if same and before[number] == source:
                runs.append(self.runs[number])
            else:
                runs.append(b",".join([entry.body for entry in source]) + (b"," if number < last else b""))
        self.runs, self.sources = runs, sources
        self.size = sum(map(len, runs))
        self.changed = self.collection.changed


def _cut(entries: list[Entry], sizes: list[int]) -> list[list[Entry]]:
    """The entries in runs of as many as `_RUN` bytes have room for; `sizes` are those of all up to each."""
    sources, start, sent = [], 0, 0
    while start < len(entries):
        # With each comes a comma.
        room = sent + _RUN - (bisect_right(sizes, sent + _RUN, start) - start)
        end = max(bisect_right(sizes, room, start), start + 1)
        sources.append(entries[start:end])
        start, sent = end, sizes[end - 1]
    return sources


class KeptLists:
    """The lists of one API server that are kept, by what they are of."""

    def __init__(self) -> None:
        #: The one that was asked for longest ago comes first.
        self._found: dict[Hashable, _Kept] = {}
        self._sweeping = False

    def runs(
        self, question: Hashable, collection: Collection, find: Callable[[], Iterable[Entry]]
    ) -> list[bytes] | None:
        """The entries' bodies, joined in runs that follow on one another; None where they are not kept.

        `question` tells apart what can be asked of the collection; `find` gives the answer's entries.
        """
        loop = asyncio.get_running_loop()
        now, kept = loop.time(), self._found.pop(question, None)
        if kept is None or kept.collection is not collection:
            self._found[question] = _Kept(collection, now)
            self._make_room()
            self._sweep_later(loop)
            return None
        self._found[question] = kept
        kept.asked_at = now
        if kept.changed != collection.changed and not kept.too_long:
            kept.renew(list(find()))
            self._make_room()
        return None if kept.too_long else kept.runs

    def _make_room(self) -> None:
        size = sum([kept.size for kept in self._found.values()])
        while size > _MOST or len(self._found) > _QUESTIONS:
            size -= self._found.pop(next(iter(self._found))).size

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(_REMEMBERED, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget what nobody asks for any more."""
        self._sweeping = False
        since = loop.time() - _REMEMBERED
        self._found = {question: kept for question, kept in self._found.items() if kept.asked_at > since}
        if self._found:
            self._sweep_later(loop)
