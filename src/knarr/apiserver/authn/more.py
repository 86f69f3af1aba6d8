"""An authenticator that knows more than the cluster's own tokens: those of files, other issuers, webhooks."""

from __future__ import annotations

from collections.abc import Sequence

from knarr.apiserver import config_files
from knarr.apiserver.authn.authenticator import Authenticator
from knarr.apiserver.authn.jwt import configuration
from knarr.apiserver.authn.jwt.tokens import JwtTokens
from knarr.apiserver.authn.settings import Around, AuthenticationSettings
from knarr.apiserver.authn.static_tokens import StaticTokens
from knarr.apiserver.authn.tokens import TokenAuthenticator, TokenSource
from knarr.apiserver.authn.webhook import WebhookTokens


def build(settings: AuthenticationSettings, around: Around, usual: Sequence[TokenSource]) -> Authenticator:
    """The authenticator; `usual` are the sources of the cluster's own tokens. Raises `ValueError`, `OSError`."""
    others = JwtTokens(settings.audiences, around.clock, around.tasks)
    others.use(settings.issuers_of_jwt)
    sources = (*_static(settings), *usual, others, *_webhook(settings, around))
    tokens = TokenAuthenticator(sources, around.clock, settings.audiences)
    authenticator = Authenticator(tokens, settings.anonymous, settings.proxy)
    path = settings.file
    if path is not None:

        def use() -> None:
            found = configuration.load(path, settings.issuers)
            others.use(found.issuers)
            authenticator.anonymous = found.anonymous or settings.anonymous
            tokens.forget()

        use()
        around.tasks.forever(lambda: config_files.follow(path, use, around.clock), "authentication configuration")
    return authenticator


def _static(settings: AuthenticationSettings) -> Sequence[TokenSource]:
    return (StaticTokens(settings.static_tokens, settings.audiences),) if settings.static_tokens else ()


def _webhook(settings: AuthenticationSettings, around: Around) -> Sequence[TokenSource]:
    found = settings.webhook
    if found is None:
        return ()
    return (WebhookTokens(found.webhook, found.api_version, found.keep, around.clock, around.tasks),)
