"""The id under which a request can be found again: the client's own, or a new one, in every answer."""

from __future__ import annotations

import random
import uuid

from knarr.apiserver.request import Request, Response

HEADER = "Audit-Id"
#: Longest id that is taken from a client.
_LONGEST = 64
_random = random.SystemRandom().getrandbits(128)
_source = random.Random(_random)


def mark(request: Request, response: Response) -> None:
    """Give an answer its id. Ids need to differ, not to be secret."""
    given = request.headers.get("audit-id", "")
    response.headers[HEADER] = given[:_LONGEST] if given else _new()


def _new() -> str:
    return str(uuid.UUID(int=_source.getrandbits(128), version=4))
