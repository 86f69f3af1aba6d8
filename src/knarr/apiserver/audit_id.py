"""The id under which a request can be found again: the client's own, or a new one, in every answer."""

from __future__ import annotations

from knarr.apiserver import names
from knarr.apiserver.request import Request, Response

HEADER = "Audit-Id"
#: The header's name in requests.
GIVEN = "audit-id"
#: Longest id that is taken from a client.
_LONGEST = 64


def mark(request: Request, response: Response) -> None:
    """Give an answer its id."""
    if request.record is not None:
        response.headers[HEADER] = request.record.id
        return
    given = request.headers.get(GIVEN, "")
    response.headers[HEADER] = given[:_LONGEST] if given else names.uid()


def fresh() -> bytes:
    """A new id."""
    return names.uid().encode()
