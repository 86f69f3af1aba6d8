"""Makes an authenticator of settings."""

from __future__ import annotations

from knarr.apiserver.authn.authenticator import Authenticator
from knarr.apiserver.authn.bootstrap_tokens import BootstrapTokens
from knarr.apiserver.authn.service_accounts import ServiceAccountTokens
from knarr.apiserver.authn.settings import Around, AuthenticationSettings
from knarr.apiserver.authn.tokens import TokenAuthenticator


def build(settings: AuthenticationSettings, around: Around) -> Authenticator:
    """The authenticator of an API server. Raises `ValueError`, `OSError` for what cannot be used."""
    accounts = ServiceAccountTokens(around.signer, around.reader, around.clock, settings.audiences)
    accounts.used = around.used
    usual = (accounts, BootstrapTokens(around.reader, around.clock, settings.audiences))
    if not settings.has_more:
        tokens = TokenAuthenticator(usual, around.clock, settings.audiences)
        return Authenticator(tokens, settings.anonymous, settings.proxy)
    # Nearly nobody has these: loading them would make every start slower.
    from knarr.apiserver.authn import more

    return more.build(settings, around, usual)
