"""Bearer tokens: who a token stands for. One source after another is asked; the first that knows the token decides.

Input: a token's text. Output: a user, None for a token that is nobody's, or `TokenError` for one that a source knows
and finds not valid (any more).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from knarr.apiserver.request import UserInfo
from knarr.component_base.clock import Clock

#: The group of everyone whose credentials were accepted.
AUTHENTICATED = "system:authenticated"
#: Seconds a token that was accepted is trusted before it is looked at again.
TRUSTED = 10.0
_REMEMBERED = 4096


class TokenError(Exception):
    """The token is one of ours and not valid; the text says why, in Kubernetes' words."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who a token stands for, for which of the wanted audiences, and what its bearer is to be told."""

    user: UserInfo
    audiences: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    #: Seconds since the epoch at which the token ends.
    ends: float = float("inf")


def for_server(
    user: UserInfo, own: Sequence[str], wanted: Sequence[str], ends: float = float("inf")
) -> Authenticated | None:
    """The result of a token that names no audience of Kubernetes: it is for the API server alone."""
    audiences = tuple(item for item in own if item in wanted)
    return Authenticated(user, audiences, ends=ends) if audiences else None


class TokenSource(Protocol):
    """Knows the tokens of one kind."""

    def authenticate(self, token: str, wanted: Sequence[str]) -> Authenticated | None:
        """Who a token stands for, for these audiences; None for a token of another kind.

        Raises `TokenError`, and `Pending` where somebody else must be asked first.
        """
        ...


@dataclass(slots=True)
class _Known:
    result: Authenticated
    #: Monotonic seconds until which nothing needs to be looked at again.
    until: float


class TokenAuthenticator:
    """Authenticates bearer tokens. A token that was accepted costs a hash and a look-up for some seconds."""

    def __init__(self, sources: Sequence[TokenSource], clock: Clock, audiences: Sequence[str]) -> None:
        self.audiences = tuple(audiences)
        self.sources = tuple(sources)
        self._clock = clock
        self._known: dict[bytes, _Known] = {}

    def forget(self) -> None:
        """Look at everything again: call it when a ServiceAccount, or a Secret with a token, goes away."""
        self._known.clear()

    def authenticate(self, token: str) -> Authenticated | None:
        """Who a token stands for, for the API server itself. Raises `TokenError`, `Pending`."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        moment = self._clock.monotonic()
        if known is not None and moment < known.until:
            return known.result
        result = self.review(token, ())
        if result is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            left = result.ends - self._clock.now().timestamp()
            self._known[digest] = _Known(result, moment + min(TRUSTED, max(0.0, left)))
        return result

    def review(self, token: str, audiences: Sequence[str]) -> Authenticated | None:
        """Who a token stands for, asked for these audiences (the API server's own when empty).

        Raises `TokenError`, `Pending`. None stands for a token that is nobody's.
        """
        wanted = tuple(audiences) or self.audiences
        problems = []
        for source in self.sources:
            try:
                result = source.authenticate(token, wanted)
            except TokenError as error:
                problems.append(str(error))
                continue
            if result is not None:
                return result
        if problems:
            raise TokenError(", ".join(problems))
        return None
