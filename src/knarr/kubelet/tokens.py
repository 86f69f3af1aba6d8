"""Service-account tokens bound to pods, requested from the API server, kept and renewed in time.

https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from knarr.api.registry import SERVICEACCOUNTS
from knarr.apimachinery import timestamps
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.client.client import Client
from knarr.component_base import logs
from knarr.component_base.clock import Clock

_log = logs.get("kubelet.tokens")
#: A token is renewed after this part of its life, but daily at least.
_PART = 0.8
_DAILY = timedelta(hours=24)
#: Until a failed renewal is tried again, while the old token still holds.
_RETRY = timedelta(seconds=30)
#: Seconds a token lives when its volume does not say.
DEFAULT_LIFE = 3600


class Token(NamedTuple):
    """A token, when it ends, and when it should be renewed."""

    value: str
    expires: datetime
    renew: datetime


class TokenFault(Exception):
    """A token could not be had."""


class _Wanted(NamedTuple):
    namespace: str
    account: str
    audience: str
    seconds: int
    pod: str
    uid: str


class TokenManager:
    """Gives each pod its tokens; one request at a time for the same one."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[_Wanted, Token] = {}
        self._locks: dict[_Wanted, asyncio.Lock] = {}

    async def get(self, pod: Object, audience: str = "", seconds: int = DEFAULT_LIFE) -> Token:
        """The pod's token for an audience (empty: the API server's own), good for about `seconds`.

        Raises `TokenFault` when there is none.
        """
        meta = pod["metadata"]
        account = (pod.get("spec") or {}).get("serviceAccountName") or "default"
        wanted = _Wanted(meta["namespace"], account, audience, seconds, meta["name"], meta["uid"])
        async with self._locks.setdefault(wanted, asyncio.Lock()):
            kept = self._tokens.get(wanted)
            if kept is None or self._clock.now() >= kept.renew:
                kept = self._tokens[wanted] = await self._renewed(wanted, kept)
            return kept

    def forget(self, uid: str) -> None:
        """Drop the tokens of a pod."""
        for wanted in [each for each in {*self._locks, *self._tokens} if each.uid == uid]:
            self._locks.pop(wanted, None)
            self._tokens.pop(wanted, None)

    async def _renewed(self, wanted: _Wanted, kept: Token | None) -> Token:
        try:
            return await self._request(wanted)
        except (StatusError, ConnectionError) as error:
            now = self._clock.now()
            if kept is None or now >= kept.expires:
                raise TokenFault(f"failed to fetch token: {error}") from error
            _log.warning("token not renewed", pod=f"{wanted.namespace}/{wanted.pod}", error=str(error))
            return kept._replace(renew=now + _RETRY)

    async def _request(self, wanted: _Wanted) -> Token:
        spec: dict[str, Any] = {
            "audiences": [wanted.audience] if wanted.audience else [],
            "expirationSeconds": wanted.seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": wanted.pod, "uid": wanted.uid},
        }
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self._client.create(
            SERVICEACCOUNTS, body, wanted.namespace, name=wanted.account, subresource="token"
        )
        expires = timestamps.parse(answer["status"]["expirationTimestamp"])
        # The server may have chosen another life than was asked for.
        life = timedelta(seconds=int((answer.get("spec") or {}).get("expirationSeconds") or wanted.seconds))
        return Token(answer["status"]["token"], expires, renewal(expires, life))


def renewal(expires: datetime, life: timedelta) -> datetime:
    """When a token that lives for `life` and ends at `expires` is to be renewed."""
    return expires - life + min(life * _PART, _DAILY)
