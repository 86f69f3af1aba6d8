"""Bootstrap tokens: what nodes join a cluster with, kept in Secrets of `kube-system`.

Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from knarr.api.semantics import token_secrets
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authn.tokens import AUTHENTICATED, Authenticated, for_server
from knarr.apiserver.request import UserInfo
from knarr.component_base.clock import Clock

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


class BootstrapTokens:
    """Knows the bootstrap tokens. `audiences` are the API server's: for nobody else are these tokens."""

    def __init__(self, reader: Reader, clock: Clock, audiences: Sequence[str]) -> None:
        self._audiences = tuple(audiences)
        self._reader = reader
        self._clock = clock

    def authenticate(self, token: str, wanted: Sequence[str]) -> Authenticated | None:
        """Who a token stands for; None for any that is not (or no longer) good."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        name, secret_text = match.groups()
        secret = self._reader.get("secrets", "", "kube-system", token_secrets.BOOTSTRAP_PREFIX + name)
        if secret is None or not self._is_good(secret, name, secret_text):
            return None
        groups = _groups(token_secrets.text(secret, "auth-extra-groups"))
        if groups is None:
            return None
        return for_server(UserInfo(f"system:bootstrap:{name}", groups), self._audiences, wanted)

    def _is_good(self, secret: Object, name: str, secret_text: str) -> bool:
        if secret["metadata"].get("deletionTimestamp") or secret.get("type") != token_secrets.BOOTSTRAP_TYPE:
            return False
        if not hmac.compare_digest(token_secrets.text(secret, "token-secret").encode(), secret_text.encode()):
            return False
        if token_secrets.text(secret, "token-id") != name:
            return False
        if token_secrets.text(secret, "usage-bootstrap-authentication") != "true":
            return False
        try:
            end = token_secrets.expiry(secret)
        except ValueError:
            return False
        return end is None or end > self._clock.now()


def _groups(text: str) -> tuple[str, ...] | None:
    """The groups of a bootstrap token; None when its Secret names one that it may not give."""
    extra = {item.strip() for item in text.split(",") if item.strip()}
    if not all(_GROUP.fullmatch(item) for item in extra):
        return None
    return (*sorted({"system:bootstrappers", *extra}), AUTHENTICATED)
