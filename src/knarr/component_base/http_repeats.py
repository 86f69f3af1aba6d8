"""Requests that a client sends again: who sent the same bytes before need not have them parsed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from knarr.component_base.http import Request, Response

#: Gives a whole answer, head and all, as of now; None when the request has to be read and answered as all others.
Again: TypeAlias = Callable[[], bytes | None]
#: Gives what answers a request again that was answered so, if anything does.
RepeatOf: TypeAlias = Callable[[Request, Response], Again | None]

#: Bytes of a request up to which it is remembered, and how many are.
LONGEST = 2048
_REMEMBERED = 2048


class Repeats:
    """What answers requests again, by their bytes and who sent them (his certificate's fingerprint, or nothing).

    Only what a connection got between two requests is looked up, and only what was exactly one request, after whose
    answer the connection went on, is kept: the same bytes mean the same then.
    """

    def __init__(self, repeat: RepeatOf) -> None:
        self._repeat = repeat
        self._known: dict[tuple[bytes, str], Again] = {}

    def answer(self, data: bytes, client: str) -> bytes | None:
        """The answer to bytes that were answered before."""
        again = self._known.get((data, client))
        return again() if again is not None else None

    def keep(self, data: bytes, client: str, request: Request, response: Response) -> None:
        """Remember what answers this request again."""
        again = self._repeat(request, response)
        if again is None:
            return
        if len(self._known) >= _REMEMBERED:
            # The oldest goes: it comes back if it is still asked for.
            del self._known[next(iter(self._known))]
        self._known[data, client] = again
