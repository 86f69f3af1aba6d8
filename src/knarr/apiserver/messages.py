"""The protobuf messages of cached objects, kept so that each is made once for all who ask for it.

Most clusters have no client that speaks protobuf, and most objects nobody asks for twice: a bounded number of bytes a
served resource, the oldest thrown out first.
"""

from __future__ import annotations

from collections.abc import Callable

from knarr.apiserver.watch_cache import Entry

#: Bytes of messages kept for one served resource.
_LIMIT = 8 * 1024 * 1024


class Messages:
    """Messages by key, each of one revision."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._kept: dict[str, tuple[int, bytes]] = {}

    def of(self, entry: Entry, make: Callable[[], bytes]) -> bytes:
        """The message of an object; `make` makes it where it is not at hand."""
        found = self._kept.pop(entry.key, None)
        if found is not None:
            if found[0] == entry.revision:
                self._kept[entry.key] = found
                return found[1]
            self._size -= len(found[1])
        message = make()
        self._kept[entry.key] = entry.revision, message
        self._size += len(message)
        while self._size > self._limit:
            self._size -= len(self._kept.pop(next(iter(self._kept)))[1])
        return message
