"""Authentication: who sends a request. Client certificates first, then bearer tokens, then nobody.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import base64
import binascii

from knarr.apimachinery.errors import unauthorized
from knarr.apiserver.authn_tokens import AUTHENTICATED, TokenAuthenticator, TokenError
from knarr.apiserver.request import Request, UserInfo
from knarr.component_base import logs

ANONYMOUS = UserInfo("system:anonymous", ("system:unauthenticated",))
#: The extra that names the credential somebody came with.
CREDENTIAL = "authentication.kubernetes.io/credential-id"
_WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."
_log = logs.get("authn")


class Authenticator:
    """Finds the user of a request."""

    def __init__(self, tokens: TokenAuthenticator, *, anonymous: bool = True) -> None:
        self.tokens = tokens
        self._anonymous = anonymous
        #: Certificate subjects with fingerprints, and the users made of them.
        self._peers: dict[tuple[str, tuple[str, ...], str], UserInfo] = {}

    def authenticate(self, request: Request) -> UserInfo:
        """The user of a request. Raises `StatusError` 401 for credentials that are not valid."""
        if request.trusted is not None:
            return request.trusted
        if request.peer is not None:
            return self._peer(request.peer, request.peer_fingerprint)
        token = bearer_token(request)
        if token:
            return self._token(token)
        if not self._anonymous:
            raise unauthorized()
        return ANONYMOUS

    def _peer(self, peer: tuple[str, tuple[str, ...]], fingerprint: str) -> UserInfo:
        key = (*peer, fingerprint)
        user = self._peers.get(key)
        if user is None:
            if len(self._peers) >= 1024:
                self._peers.clear()
            extra = {CREDENTIAL: (f"X509SHA256={fingerprint}",)} if fingerprint else {}
            user = self._peers[key] = authenticated(UserInfo(*peer, extra=extra))
        return user

    def _token(self, token: str) -> UserInfo:
        try:
            user = self.tokens.authenticate(token)
        except TokenError as error:
            _log.info("refused a bearer token", reason=str(error))
            raise unauthorized() from error
        if user is None:
            raise unauthorized()
        return user


def authenticated(user: UserInfo) -> UserInfo:
    """The user as a member of `system:authenticated`."""
    if AUTHENTICATED in user.groups:
        return user
    return UserInfo(user.name, (*user.groups, AUTHENTICATED), user.uid, user.extra)


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
