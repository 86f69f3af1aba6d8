"""What an API server is told about authentication, as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authn.authenticator import Anonymous
from knarr.apiserver.authn.front_proxy import FrontProxy
from knarr.apiserver.tokens import ISSUER, TokenSigner, TokenTerms
from knarr.component_base.clock import Clock
from knarr.component_base.tasks import Tasks

if TYPE_CHECKING:
    from knarr.apiserver.authn.jwt.spec import Issuer
    from knarr.apiserver.outside import Webhook


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

    @property
    def has_more(self) -> bool:
        """Whether there are tokens but those of the cluster itself, or a file that may bring some."""
        return bool(self.static_tokens or self.webhook or self.issuers_of_jwt or self.file)

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
