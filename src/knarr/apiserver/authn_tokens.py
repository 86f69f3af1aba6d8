"""Bearer tokens: those of service accounts, and the bootstrap tokens nodes join with.

Input: a token's text and what exists in the cluster. Output: a user, None for a token that is nobody's, or
`TokenError` for one that is known and not valid (any more).
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from knarr.apimachinery.field import quote
from knarr.apimachinery.types import Object
from knarr.apiserver.attributes import Reader
from knarr.apiserver.request import UserInfo
from knarr.apiserver.tokens import ISSUER, LEGACY_ISSUER, TokenSigner
from knarr.component_base.clock import Clock

#: Seconds a verified token is trusted before what it is bound to is looked at again.
_TRUSTED = 10.0
_REMEMBERED = 4096
#: Seconds that an object's deletion, and a clock that is off, are forgiven.
_LEEWAY = 60
#: The group of everyone whose credentials were accepted.
AUTHENTICATED = "system:authenticated"
_EXTRA = "authentication.kubernetes.io/"
_BOOTSTRAP = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_BOOTSTRAP_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_BOOTSTRAP_TYPE = "bootstrap.kubernetes.io/token"


class TokenError(Exception):
    """The token is one of ours and not valid; the text says why, in Kubernetes' words."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who a token stands for, and for which of the wanted audiences."""

    user: UserInfo
    audiences: tuple[str, ...]


@dataclass(slots=True)
class _Known:
    """A token whose signature was verified."""

    claims: Object
    result: Authenticated
    #: Monotonic seconds until which nothing needs to be looked at again.
    until: float


class TokenAuthenticator:
    """Authenticates bearer tokens. A token that was verified costs a hash and a look-up for some seconds."""

    def __init__(self, signer: TokenSigner, reader: Reader, clock: Clock, audiences: Sequence[str] = (ISSUER,)) -> None:
        self.audiences = tuple(audiences)
        self._signer = signer
        self._reader = reader
        self._clock = clock
        self._known: dict[bytes, _Known] = {}

    def forget(self) -> None:
        """Look at everything again: call it when a ServiceAccount, or a Secret with a token, goes away."""
        for known in self._known.values():
            known.until = 0.0

    def authenticate(self, token: str) -> UserInfo | None:
        """The user of a token for the API server itself. Raises `TokenError`."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        moment = self._clock.monotonic()
        if known is not None:
            if moment < known.until:
                return known.result.user
            del self._known[digest]
            claims: Object | None = known.claims
        else:
            claims = self._signer.verify(token)
        if claims is None:
            return self._bootstrap(token)
        result = self._check(claims, self.audiences)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[digest] = _Known(claims, result, moment + self._trust(claims))
        return result.user

    def review(self, token: str, audiences: Sequence[str]) -> Authenticated | None:
        """Who a token stands for, asked for these audiences (the API server's own when empty).

        Raises `TokenError`. None stands for a token that is nobody's.
        """
        claims = self._signer.verify(token)
        if claims is not None:
            return self._check(claims, audiences or self.audiences)
        user = self._bootstrap(token)
        # A bootstrap token is for the API server, whatever it is asked for.
        return Authenticated(user, tuple(audiences or self.audiences)) if user is not None else None

    def _trust(self, claims: Object) -> float:
        left = float(claims.get("exp", "inf")) - self._clock.now().timestamp()
        return min(_TRUSTED, max(0.0, left))

    # service accounts

    def _check(self, claims: Object, wanted: Sequence[str]) -> Authenticated:
        if claims.get("iss") == LEGACY_ISSUER:
            return self._check_legacy(claims, wanted)
        if claims.get("iss") != self._signer.issuer or not isinstance(claims.get("kubernetes.io"), dict):
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
        return Authenticated(_account_user(namespace, account["name"], account.get("uid", ""), extra), audiences)

    def _check_times(self, claims: Object) -> None:
        now = self._clock.now().timestamp()
        if "exp" in claims and now > claims["exp"]:
            raise TokenError("service account token has expired")
        if now < claims.get("nbf", 0) - _LEEWAY:
            raise TokenError("service account token is not valid yet")

    def _check_account(self, namespace: str, name: str, uid: str) -> None:
        account = self._reader.get("serviceaccounts", "", namespace, name)
        if account is None:
            raise TokenError(f"serviceaccounts {quote(name)} not found")
        if self._gone(account):
            raise TokenError("service account has been deleted")
        found = account["metadata"].get("uid", "")
        if found != uid:
            raise TokenError(f"service account UID ({found}) does not match claim ({uid})")

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
        stored = _decoded(secret, "token")
        if self._signer.verify(stored) != claims:
            raise TokenError("Token does not match server's copy")
        if (secret["metadata"].get("labels") or {}).get("kubernetes.io/legacy-token-invalid-since"):
            raise TokenError("the token in secret is marked as invalid")
        self._check_account(namespace, name, uid)
        return Authenticated(_account_user(namespace, name, uid, {}), audiences)

    # bootstrap tokens

    def _bootstrap(self, token: str) -> UserInfo | None:
        match = _BOOTSTRAP.fullmatch(token)
        if match is None:
            return None
        name, secret_text = match.groups()
        secret = self._reader.get("secrets", "", "kube-system", f"bootstrap-token-{name}")
        if secret is None or secret["metadata"].get("deletionTimestamp") or secret.get("type") != _BOOTSTRAP_TYPE:
            return None
        if (
            not hmac.compare_digest(_decoded(secret, "token-secret"), secret_text)
            or _decoded(secret, "token-id") != name
        ):
            return None
        if (
            self._expired(_decoded(secret, "expiration"))
            or _decoded(secret, "usage-bootstrap-authentication") != "true"
        ):
            return None
        groups = _bootstrap_groups(_decoded(secret, "auth-extra-groups"))
        return None if groups is None else UserInfo(f"system:bootstrap:{name}", groups)

    def _expired(self, text: str) -> bool:
        if not text:
            return False
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            return True
        return moment.tzinfo is None or moment <= self._clock.now()


def _bootstrap_groups(text: str) -> tuple[str, ...] | None:
    """The groups of a bootstrap token; None when its Secret names one that it may not give."""
    extra = {item.strip() for item in text.split(",") if item.strip()}
    if not all(_BOOTSTRAP_GROUP.fullmatch(item) for item in extra):
        return None
    return (*sorted({"system:bootstrappers", *extra}), AUTHENTICATED)


def _decoded(secret: Object, key: str) -> str:
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


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
