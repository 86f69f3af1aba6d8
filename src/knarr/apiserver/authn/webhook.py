"""Tokens that a webhook knows: it is asked by a TokenReview.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from knarr.apimachinery.types import Object
from knarr.apiserver.authn.tokens import Authenticated, TokenError
from knarr.apiserver.outside import OutsideError, Webhook
from knarr.apiserver.pending import Answers
from knarr.apiserver.request import UserInfo
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks

API_VERSIONS = ("authentication.k8s.io/v1", "authentication.k8s.io/v1beta1")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the webhook said: a user, nobody, or a problem."""

    found: Authenticated | None
    problem: str = ""


class WebhookTokens:
    """Asks a webhook. What it says is remembered for `keep` seconds, failures for none."""

    def __init__(self, webhook: Webhook, api_version: str, keep: float, clock: Clock, tasks: Tasks) -> None:
        self._webhook = webhook
        self._api_version = api_version
        self._answers: Answers[tuple[Any, ...], _Answer] = Answers(
            lambda answer: 0.0 if answer.problem else keep, clock, tasks
        )

    def authenticate(self, token: str, wanted: Sequence[str]) -> Authenticated | None:
        """Who the webhook says it is. Raises `TokenError`, `Pending`."""
        # Tokens themselves are not kept in memory.
        key = (hashlib.sha256(token.encode()).digest(), *wanted)
        answer = self._answers.get(key, lambda: self._ask(token, wanted))
        if answer.problem:
            raise TokenError(answer.problem)
        return answer.found

    async def _ask(self, token: str, wanted: Sequence[str]) -> _Answer:
        spec = {"token": token, "audiences": list(wanted)}
        body = {"apiVersion": self._api_version, "kind": "TokenReview", "metadata": {}, "spec": spec}
        try:
            status = (await self._webhook.review(body)).get("status") or {}
            return read(status, wanted)
        except OutsideError as error:
            return _Answer(None, str(error))


def read(status: Object, wanted: Sequence[str]) -> _Answer:
    """What a TokenReview's status says. Raises `OutsideError` for what is none."""
    if not status.get("authenticated"):
        return _Answer(None, str(status.get("error") or ""))
    # A webhook that knows nothing of audiences vouches for the API server's own.
    given = status.get("audiences") or list(wanted)
    if not isinstance(given, list):
        raise OutsideError("the webhook's answer has no audiences that can be read")
    audiences = tuple(item for item in wanted if item in given)
    if not audiences:
        return _Answer(None)
    return _Answer(Authenticated(_user(status.get("user") or {}), audiences))


def _user(user: Any) -> UserInfo:
    try:
        extra = {str(key): tuple(map(str, values)) for key, values in (user.get("extra") or {}).items()}
        groups = tuple(map(str, user.get("groups") or ()))
        return UserInfo(str(user.get("username", "")), groups, str(user.get("uid", "")), extra)
    except (AttributeError, TypeError) as error:
        raise OutsideError("the webhook's answer has no user that can be read") from error
