"""Tokens of service accounts: those that TokenRequest gives, and those that stand in Secrets.

Input: a token's text and what exists in the cluster. Output: a user, None for a token of somebody
else, or `TokenError`.
Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Sequence

from knarr.api.semantics import token_secrets
from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.authn.tokens import AUTHENTICATED, Authenticated, TokenError
from knarr.apiserver.request import UserInfo
from knarr.apiserver.tokens import TokenSigner
from knarr.component_base.clock import Clock

_REMEMBERED = 4096
#: Seconds that an object's deletion, and a clock that is off, are forgiven.
_LEEWAY = 60
_EXTRA = "authentication.kubernetes.io/"
_OWN = (
    "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated "
    "secret-based tokens."
)
_MARKED = (
    "has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove "
    "the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token"
)


class ServiceAccountTokens:
    """Knows the tokens that the cluster's keys have signed."""

    def __init__(self, signer: TokenSigner, reader: Reader, clock: Clock, audiences: Sequence[str] = ()) -> None:
        #: What tokens are good for that name no audience.
        self.audiences = tuple(audiences) or signer.issuers
        #: Told of every Secret whose token is used.
        self.used: Callable[[Object], None] = lambda secret: None
        self._signer = signer
        self._reader = reader
        self._clock = clock
        #: Claims by the digest of a token whose signature was verified.
        self._verified: dict[bytes, Object] = {}

    def authenticate(self, token: str, wanted: Sequence[str]) -> Authenticated | None:
        """Who a token stands for; None for one that no key of the cluster has signed. Raises `TokenError`."""
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._verified.get(digest)
        if claims is None:
            claims = self._signer.verify(token)
            if claims is None:
                return None
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[digest] = claims
        return self._check(claims, wanted)

    def _check(self, claims: Object, wanted: Sequence[str]) -> Authenticated:
        if claims.get("iss") == token_secrets.LEGACY_ISSUER:
            return self._check_legacy(claims, wanted)
        if claims.get("iss") not in self._signer.issuers or not isinstance(claims.get("kubernetes.io"), dict):
            raise TokenError("service account token claims could not be validated due to unexpected validation error")
        has = claims.get("aud") or []
        audiences = tuple(item for item in ([has] if isinstance(has, str) else has) if item in wanted)
        if not audiences:
            listed = f"token audiences {_list(has)} is invalid for the target audiences {_list(wanted)}"
            raise TokenError(listed)
        self._check_times(claims)
        private = claims["kubernetes.io"]
        namespace, account = private.get("namespace", ""), private.get("serviceaccount") or {}
        self._check_account(namespace, account.get("name", ""), account.get("uid", ""))
        self._check_bound(private, namespace)
        extra = _extra(claims, private)
        user = _account_user(namespace, account["name"], account.get("uid", ""), extra)
        return Authenticated(user, audiences, ends=float(claims.get("exp", "inf")))

    def _check_times(self, claims: Object) -> None:
        now = self._clock.now().timestamp()
        if "exp" in claims and now > claims["exp"]:
            raise TokenError("service account token has expired")
        if now < claims.get("nbf", 0) - _LEEWAY:
            raise TokenError("service account token is not valid yet")

    def _check_account(self, namespace: str, name: str, uid: str) -> Object:
        account = self._reader.get("serviceaccounts", "", namespace, name)
        if account is None:
            raise TokenError(f"serviceaccounts {quote(name)} not found")
        if self._gone(account):
            raise TokenError("service account has been deleted")
        found = account["metadata"].get("uid", "")
        if found != uid:
            raise TokenError(f"service account UID ({found}) does not match claim ({uid})")
        return account

    def _check_bound(self, private: Object, namespace: str) -> None:
        """What the token is bound to must exist. The node of a pod's token only informs."""
        if "secret" in private:
            self._check_object("secret", "secrets", namespace, private["secret"])
        if "pod" in private:
            self._check_object("pod", "pods", namespace, private["pod"])
        elif "node" in private:
            self._check_object("node", "nodes", "", private["node"])

    def _check_object(self, kind: str, plural: str, namespace: str, ref: Object) -> None:
        obj = self._reader.get(plural, "", namespace, ref.get("name", ""))
        if obj is None or self._gone(obj):
            raise TokenError("service account token has been invalidated")
        uid = obj["metadata"].get("uid", "")
        if uid != ref.get("uid", ""):
            raise TokenError(f"{kind} UID ({uid}) does not match service account {kind} ref claim ({ref.get('uid')})")

    def _gone(self, obj: Object) -> bool:
        """Tell whether an object was deleted longer than the leeway ago and only waits for its end."""
        deleted = obj["metadata"].get("deletionTimestamp")
        if not deleted:
            return False
        moment = datetime.datetime.fromisoformat(deleted)
        return moment < self._clock.now() - datetime.timedelta(seconds=_LEEWAY)

    def _check_legacy(self, claims: Object, wanted: Sequence[str]) -> Authenticated:
        """A token that stands in a Secret: good as long as that Secret has it."""
        audiences = tuple(item for item in self.audiences if item in wanted)
        if not audiences:
            raise TokenError(
                f"token audiences {_list(self.audiences)} is invalid for the target audiences {_list(wanted)}"
            )
        prefix = "kubernetes.io/serviceaccount/"
        namespace = claims.get(f"{prefix}namespace", "")
        name, uid = claims.get(f"{prefix}service-account.name", ""), claims.get(f"{prefix}service-account.uid", "")
        secret_name = claims.get(f"{prefix}secret.name", "")
        if claims.get("sub") != f"system:serviceaccount:{namespace}:{name}":
            raise TokenError("sub claim is invalid")
        secret = self._reader.get("secrets", "", namespace, secret_name)
        if secret is None or secret["metadata"].get("deletionTimestamp"):
            raise TokenError("Token has been invalidated")
        if self._signer.verify(token_secrets.text(secret, "token")) != claims:
            raise TokenError("Token does not match server's copy")
        account = self._check_account(namespace, name, uid)
        if (secret["metadata"].get("labels") or {}).get(token_secrets.INVALID_SINCE):
            raise TokenError(
                f"the token in secret {namespace}/{secret_name} for service account {namespace}/{name} {_MARKED}"
            )
        self.used(secret)
        own = any(item.get("name") == secret_name for item in account.get("secrets") or ())
        return Authenticated(_account_user(namespace, name, uid, {}), audiences, (_OWN,) if own else ())


def _account_user(namespace: str, name: str, uid: str, extra: dict[str, tuple[str, ...]]) -> UserInfo:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return UserInfo(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra)


def _extra(claims: Object, private: Object) -> dict[str, tuple[str, ...]]:
    """What the token is bound to, and its id, for whoever decides about the user."""
    extra: dict[str, tuple[str, ...]] = {}
    if claims.get("jti"):
        extra[f"{_EXTRA}credential-id"] = (f"JTI={claims['jti']}",)
    for kind in ("node", "pod"):
        ref = private.get(kind)
        if ref:
            extra[f"{_EXTRA}{kind}-name"] = (ref.get("name", ""),)
            if ref.get("uid"):
                extra[f"{_EXTRA}{kind}-uid"] = (ref["uid"],)
    return extra


def _list(items: Sequence[str]) -> str:
    """A list of strings as Go prints it with %q."""
    return "[" + " ".join(quote(item) for item in items) + "]"
