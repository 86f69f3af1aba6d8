"""Knows the JSON Web Tokens of configured issuers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import orjson

from knarr.apimachinery.types import Object
from knarr.apiserver.authn.jwt import claims as mapping
from knarr.apiserver.authn.jwt.keys import IssuerKeys
from knarr.apiserver.authn.jwt.spec import Issuer
from knarr.apiserver.authn.tokens import Authenticated, TokenError, for_server
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks

#: Seconds that clocks may be apart about when a token begins.
_LEEWAY = 300
#: Characters of a token that are looked at.
_LONGEST = 1 << 20


class JwtTokens:
    """Tokens of other issuers. `audiences` are the API server's own."""

    def __init__(self, audiences: Sequence[str], clock: Clock, tasks: Tasks) -> None:
        self._audiences = tuple(audiences)
        self._clock = clock
        self._tasks = tasks
        self._issuers: dict[str, tuple[Issuer, IssuerKeys]] = {}

    def use(self, issuers: Sequence[Issuer]) -> None:
        """Trust these from now on; keys of issuers that stay are kept."""
        before = self._issuers
        self._issuers = {}
        for issuer in issuers:
            known = before.get(issuer.url)
            keys = known[1] if known is not None and known[0] == issuer else None
            self._issuers[issuer.url] = (issuer, keys or IssuerKeys(issuer, self._clock, self._tasks))

    def authenticate(self, token: str, wanted: Sequence[str]) -> Authenticated | None:
        """Who a token stands for; None for one of a strange issuer. Raises `TokenError`, `Pending`."""
        if not self._issuers or len(token) > _LONGEST:
            return None
        url = _issuer_of(token)
        found = self._issuers.get(url) if url is not None else None
        if found is None:
            return None
        issuer, keys = found
        claims = _verified(token, issuer, keys)
        self._check(issuer, claims)
        user = mapping.user_of(issuer, claims)
        return for_server(user, self._audiences, wanted, float(claims["exp"]))

    def _check(self, issuer: Issuer, claims: Object) -> None:
        has = claims.get("aud")
        audiences = [has] if isinstance(has, str) else has if isinstance(has, list) else []
        if not any(item in issuer.audiences for item in audiences):
            raise TokenError(f"oidc: expected audience in {list(issuer.audiences)} got {audiences}")
        now = self._clock.now().timestamp()
        end, begin = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(end, int | float) or now > end:
            raise TokenError("oidc: token is expired")
        if not isinstance(begin, int | float) or now + _LEEWAY < begin:
            raise TokenError("oidc: current time before the nbf (not before) time")


def _issuer_of(token: str) -> str | None:
    """Who a token says it is from, whatever that is worth; None for what is no token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, orjson.JSONDecodeError, ValueError):
        return None
    url = claims.get("iss") if isinstance(claims, dict) else None
    return url if isinstance(url, str) else None


def _verified(token: str, issuer: Issuer, keys: IssuerKeys) -> Object:
    """The claims of a token that the issuer has signed."""
    import jwt

    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError) as error:
        raise TokenError("oidc: malformed jwt") from error
    algorithm = head.get("alg")
    if algorithm not in issuer.algorithms:
        raise TokenError(f"oidc: id token signed with unsupported algorithm, expected {list(issuer.algorithms)}")
    for key in keys.candidates(str(head.get("kid") or "")):
        try:
            claims: Object = jwt.decode(token, key, [str(algorithm)], options=_SIGNATURE_ONLY)
        except (jwt.PyJWTError, RecursionError, TypeError, ValueError):
            continue
        return claims
    raise TokenError("oidc: verify token: failed to verify id token signature")


_SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    **dict.fromkeys(
        ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"),
        False,
    ),
}
