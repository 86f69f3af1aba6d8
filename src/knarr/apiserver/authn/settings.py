"""What an API server is told about authentication, and the authenticator made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from knarr.apimachinery.types import Object
from knarr.apiserver import config_files
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authn.authenticator import Anonymous, Authenticator
from knarr.apiserver.authn.bootstrap_tokens import BootstrapTokens
from knarr.apiserver.authn.front_proxy import FrontProxy
from knarr.apiserver.authn.jwt import configuration
from knarr.apiserver.authn.jwt.spec import Issuer
from knarr.apiserver.authn.jwt.tokens import JwtTokens
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
    #: The lines of a token file.
    static_tokens: str = ""
    webhook: TokenWebhook | None = None
    anonymous: Anonymous = Anonymous()
    proxy: FrontProxy | None = None
    #: Issuers of tokens beside the cluster itself.
    issuers_of_jwt: tuple[Issuer, ...] = ()
    #: An AuthenticationConfiguration, which is followed.
    file: Path | None = None

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
    """The authenticator of an API server. Raises `ValueError`, `OSError` for what cannot be used."""
    others = JwtTokens(settings.audiences, around.clock, around.tasks)
    others.use(settings.issuers_of_jwt)
    tokens = TokenAuthenticator(_sources(settings, around, others), around.clock, settings.audiences)
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


def _sources(settings: AuthenticationSettings, around: Around, others: JwtTokens) -> list[TokenSource]:
    """In the order they are asked."""
    found: list[TokenSource] = []
    if settings.static_tokens:
        found.append(StaticTokens(settings.static_tokens, settings.audiences))
    accounts = ServiceAccountTokens(around.signer, around.reader, around.clock, settings.audiences)
    accounts.used = around.used
    found += [accounts, BootstrapTokens(around.reader, around.clock, settings.audiences), others]
    webhook = settings.webhook
    if webhook is not None:
        found.append(WebhookTokens(webhook.webhook, webhook.api_version, webhook.keep, around.clock, around.tasks))
    return found
