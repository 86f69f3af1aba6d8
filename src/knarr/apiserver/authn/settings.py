"""What an API server is told about authentication, and the authenticator made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authn.authenticator import Anonymous, Authenticator
from knarr.apiserver.authn.bootstrap_tokens import BootstrapTokens
from knarr.apiserver.authn.front_proxy import FrontProxy
from knarr.apiserver.authn.service_accounts import ServiceAccountTokens
from knarr.apiserver.authn.static_tokens import StaticTokens
from knarr.apiserver.authn.tokens import TokenAuthenticator, TokenSource
from knarr.apiserver.authn.webhook import WebhookTokens
from knarr.apiserver.outside import Webhook
from knarr.apiserver.tokens import ISSUER, TokenSigner, TokenTerms
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks


@dataclass(frozen=True, slots=True)
class TokenWebhook:
    """A webhook that knows tokens: where it is, in which API version it answers, for how many seconds that holds."""

    webhook: Webhook
    api_version: str = "authentication.k8s.io/v1beta1"
    keep: float = 120.0


@dataclass(frozen=True, slots=True)
class AuthenticationSettings:
    """How users are found. Keys are PEM files' contents."""

    #: Keys whose tokens are taken beside those of the signing key.
    keys: Sequence[bytes] = ()
    #: The first signs; tokens of all are taken.
    issuers: tuple[str, ...] = (ISSUER,)
    jwks_uri: str = ""
    terms: TokenTerms = TokenTerms()
    static_tokens: StaticTokens | None = None
    webhook: TokenWebhook | None = None
    anonymous: Anonymous = Anonymous()
    proxy: FrontProxy | None = None

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whom tokens for the API server itself name."""
        return self.terms.audiences or self.issuers

    def signer(self, keys: Sequence[bytes]) -> TokenSigner:
        """What signs with the first of `keys`."""
        return TokenSigner(keys[0], (*keys[1:], *self.keys), self.issuers)


@dataclass(frozen=True, slots=True)
class Around:
    """What authentication needs of the server."""

    signer: TokenSigner
    reader: Reader
    clock: Clock
    tasks: Tasks
    #: Told of every Secret whose token is used.
    used: Callable[[Object], None]


def build(settings: AuthenticationSettings, around: Around) -> Authenticator:
    """The authenticator of an API server."""
    tokens = TokenAuthenticator(tuple(_sources(settings, around)), around.clock, settings.audiences)
    return Authenticator(tokens, settings.anonymous, settings.proxy)


def _sources(settings: AuthenticationSettings, around: Around) -> list[TokenSource]:
    """In the order they are asked."""
    found: list[TokenSource] = [settings.static_tokens] if settings.static_tokens is not None else []
    accounts = ServiceAccountTokens(around.signer, around.reader, around.clock, settings.audiences)
    accounts.used = around.used
    found += [accounts, BootstrapTokens(around.reader, around.clock)]
    webhook = settings.webhook
    if webhook is not None:
        found.append(WebhookTokens(webhook.webhook, webhook.api_version, webhook.keep, around.clock, around.tasks))
    return found
