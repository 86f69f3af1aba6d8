"""The keys that an issuer signs with: fetched when they are first needed, and again when an unknown one turns up."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from knarr.apimachinery.types import Object
from knarr.apiserver import outside
from knarr.apiserver.authn.jwt.spec import Issuer
from knarr.apiserver.authn.tokens import TokenError
from knarr.apiserver.outside import OutsideError
from knarr.apiserver.pending import Answers
from knarr.component_base import logs
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks

#: Seconds that keys are good for, and after which ones that lack a wanted key (or could not be had) are fetched again.
_GOOD, _AGAIN = 3600.0, 10.0
#: Keys that are read of a set.
_MOST_KEYS = 100
_log = logs.get("authn")


@dataclass(frozen=True, slots=True)
class _Fetched:
    """Keys with their ids, or why there are none; when, in monotonic seconds."""

    keys: tuple[tuple[str, Any], ...]
    moment: float
    problem: str = ""


class IssuerKeys:
    """The keys of one issuer."""

    def __init__(self, issuer: Issuer, clock: Clock, tasks: Tasks) -> None:
        self._issuer = issuer
        self._clock = clock
        self._answers: Answers[str, _Fetched] = Answers(lambda found: _AGAIN if found.problem else _GOOD, clock, tasks)

    def candidates(self, key_id: str) -> list[Any]:
        """The keys that may have signed what names this key. Raises `TokenError`, `Pending`."""
        fetched = self._answers.get("keys", self._fetch)
        strange = bool(key_id) and all(name != key_id for name, _ in fetched.keys)
        if strange and not fetched.problem and self._clock.monotonic() - fetched.moment >= _AGAIN:
            # The issuer may have a new key.
            self._answers.forget()
            fetched = self._answers.get("keys", self._fetch)
        if fetched.problem:
            raise TokenError(f"oidc: authenticator for {self._issuer.url} not initialized: {fetched.problem}")
        named = [key for name, key in fetched.keys if name == key_id]
        return named or [key for name, key in fetched.keys if not key_id or not name]

    async def _fetch(self) -> _Fetched:
        moment = self._clock.monotonic()
        try:
            about = await self._document(self._issuer.discovery)
            if about.get("issuer") != self._issuer.url:
                said = f'"{self._issuer.url}" got "{about.get("issuer")}"'
                raise OutsideError(f"oidc: issuer did not match the issuer returned by provider, expected {said}")
            place = about.get("jwks_uri")
            if not isinstance(place, str) or urlsplit(place).scheme != "https":
                raise OutsideError("the discovery document has no jwks_uri with https")
            found = await self._document(place)
        except OutsideError as error:
            _log.warning("an issuer's keys cannot be had", issuer=self._issuer.url, error=error)
            return _Fetched((), moment, str(error))
        return _Fetched(tuple(_keys(found)), moment)

    async def _document(self, url: str) -> Object:
        content = await outside.fetch(url, self._issuer.authority.encode())
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise OutsideError(f"{url} is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise OutsideError(f"{url} is no JSON object")
        return found


def _keys(found: Object) -> list[tuple[str, Any]]:
    import jwt

    listed = found.get("keys")
    out = []
    for item in listed[:_MOST_KEYS] if isinstance(listed, list) else ():
        if not isinstance(item, dict) or item.get("kty") not in ("RSA", "EC") or item.get("use", "sig") != "sig":
            continue
        # A key of a kind that is not known here is another reader's.
        with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError):
            out.append((str(item.get("kid", "")), jwt.PyJWK.from_dict(item).key))
    return out
