"""Who sends a request: front proxies' headers first, then client certificates, bearer tokens, and nobody.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from knarr.apimachinery.errors import unauthorized
from knarr.apiserver.authn.front_proxy import FrontProxy
from knarr.apiserver.authn.tokens import AUTHENTICATED, TokenAuthenticator, TokenError
from knarr.apiserver.request import Request, UserInfo
from knarr.component_base import logs

ANONYMOUS = UserInfo("system:anonymous", ("system:unauthenticated",))
#: The extra that names the credential somebody came with.
CREDENTIAL = "authentication.kubernetes.io/credential-id"
_WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."
_log = logs.get("authn")


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Whether requests without credentials are let in: on all paths, or on `paths` alone if there are any."""

    enabled: bool = True
    paths: frozenset[str] = frozenset()

    def admits(self, path: str) -> bool:
        """Whether a request for this path is."""
        return self.enabled and (not self.paths or path in self.paths)


class Authenticator:
    """Finds the user of a request."""

    def __init__(
        self, tokens: TokenAuthenticator, anonymous: Anonymous | None = None, proxy: FrontProxy | None = None
    ) -> None:
        self.tokens = tokens
        self.anonymous = anonymous or Anonymous()
        self._proxy = proxy
        #: Fingerprints of clients' own certificates, and the users made of them.
        self._peers: dict[str, UserInfo] = {}

    def authenticate(self, request: Request) -> UserInfo:
        """The user of a request. Raises `StatusError` 401 for credentials that are not valid, and `Pending`."""
        if request.trusted is not None:
            return request.trusted
        user = self._certified(request) if request.peer is not None else None
        if user is not None:
            return user
        token = bearer_token(request)
        if token:
            return self._token(token, request)
        # A certificate that stands for nobody here is a credential that is not valid.
        if request.peer is not None or not self.anonymous.admits(request.path):
            raise unauthorized()
        return ANONYMOUS

    def _certified(self, request: Request) -> UserInfo | None:
        """Whom a certificate stands for, or who its bearer vouches for."""
        peer, proxy, fingerprint = request.peer, self._proxy, request.peer_fingerprint
        known = self._peers.get(fingerprint)
        if known is not None or peer is None:
            return known
        extra = {CREDENTIAL: (f"X509SHA256={fingerprint}",)} if fingerprint else {}
        if proxy is not None and proxy.has(request):
            user = proxy.user_of(request)
            if user is None and not proxy.is_client(request):
                return None
            return authenticated(user or UserInfo(*peer, extra=extra))
        if len(request.peer_uids) > 1 or "" in request.peer_uids:
            raise unauthorized()
        user = authenticated(UserInfo(*peer, uid="".join(request.peer_uids), extra=extra))
        if fingerprint:
            if len(self._peers) >= 1024:
                self._peers.clear()
            self._peers[fingerprint] = user
        return user

    def _token(self, token: str, request: Request) -> UserInfo:
        try:
            found = self.tokens.authenticate(token)
        except TokenError as error:
            _log.info("refused a bearer token", reason=str(error))
            raise unauthorized() from error
        if found is None:
            raise unauthorized()
        request.warnings += found.warnings
        return authenticated(found.user)


def authenticated(user: UserInfo) -> UserInfo:
    """The user as a member of `system:authenticated`."""
    if AUTHENTICATED in user.groups:
        return user
    return UserInfo(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)


def has_credentials(request: Request) -> bool:
    """Whether a request says who sends it."""
    return request.peer is not None or bool(bearer_token(request))


def bearer_token(request: Request) -> str:
    """The bearer token that a request carries, in `Authorization` or as a WebSocket protocol; empty for none."""
    header = request.headers.get("authorization", "").strip()
    if header:
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "bearer":
            return rest.split(" ", 1)[0]
    if request.headers.get("upgrade", "").lower() == "websocket":
        return _websocket_token(request.headers.get("sec-websocket-protocol", ""))
    return ""


def _websocket_token(protocols: str) -> str:
    for protocol in protocols.split(","):
        name = protocol.strip()
        if name.startswith(_WEBSOCKET_PREFIX):
            encoded = name[len(_WEBSOCKET_PREFIX) :]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise unauthorized() from error
    return ""
