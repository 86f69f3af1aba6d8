"""Service-account tokens: the TokenRequest subresource, signatures, and the documents that publish the keys.

Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from knarr.apimachinery import field
from knarr.apimachinery.errors import bad_request, conflict, invalid, not_found
from knarr.apimachinery.gvk import parse_api_version
from knarr.apimachinery.types import Object
from knarr.apiserver import token_keys
from knarr.apiserver.attributes import Reader

ISSUER = "https://kubernetes.default.svc"
GROUP = "authentication.k8s.io"
API_VERSION = f"{GROUP}/v1"
DEFAULT_SECONDS = 3600
_MIN_SECONDS = 600
_MAX_SECONDS = 1 << 32
#: Pods' own tokens ask for this lifetime. They are refreshed by then; clients that do not reload theirs get a year.
_POD_SECONDS = 3607
_EXTENDED_SECONDS = 365 * 24 * 3600


class TokenSigner:
    """Signs claims, and tells tokens of its own (and of other keys) from those of strangers."""

    def __init__(self, key: bytes, others: Sequence[bytes] = (), issuers: Sequence[str] = (ISSUER,)) -> None:
        """`key` is a private key in PEM, RSA or elliptic curve; `others` are files with keys, private or public ones.

        The first issuer signs; tokens of the others are taken as well.
        """
        self.issuers = tuple(issuers)
        self._pem = key
        self._others = tuple(others)

    @property
    def issuer(self) -> str:
        """Who the tokens are from."""
        return self.issuers[0]

    # Keys are read when the first token is signed or verified: `cryptography` is slow to load.

    @cached_property
    def _key(self) -> Any:
        return token_keys.private(self._pem)

    @cached_property
    def _public(self) -> dict[str, Any]:
        """Public keys by their id, the signing one first."""
        found: dict[str, Any] = {}
        for public in (self._key.public_key(), *(key for pem in self._others for key in token_keys.public(pem))):
            found.setdefault(token_keys.key_id(public), public)
        return found

    def sign(self, claims: Object) -> str:
        """A token."""
        import jwt

        key = self._key
        headers = {"kid": next(iter(self._public)), "typ": ""}
        return jwt.encode(claims, key, algorithm=token_keys.algorithm(key.public_key()), headers=headers)

    def verify(self, token: str) -> Object | None:
        """The claims of a token that one of the keys signed, whatever they say; None for any other text."""
        import jwt

        no_token = (jwt.PyJWTError, RecursionError)
        try:
            key = self._public.get(jwt.get_unverified_header(token).get("kid", ""))
            candidates = [key] if key is not None else list(self._public.values())
        except no_token:
            return None
        for candidate in candidates:
            try:
                claims: Object = jwt.decode(
                    token, candidate, [token_keys.algorithm(candidate)], options=_SIGNATURE_ONLY
                )
            except no_token:
                continue
            return claims
        return None

    def jwks(self) -> Object:
        """The public keys, as `/openid/v1/jwks` answers (application/jwk-set+json)."""
        return {"keys": [token_keys.jwk(name, key) for name, key in self._public.items()]}

    def discovery(self, jwks_uri: str) -> Object:
        """What `/.well-known/openid-configuration` answers."""
        return {
            "issuer": self.issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": sorted(
                {token_keys.algorithm(key) for key in self._public.values()}
            ),
        }


# Times, issuer and audience are the validator's business: it has the clock, and Kubernetes' words.
_SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


@dataclass(frozen=True, slots=True)
class _Bound:
    """The object a token is bound to: its claim, its uid, and the claim of a pod's node."""

    claim: str
    uid: str
    name: str
    node: Object | None = None


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What tokens may be asked for: the API server's audiences (its issuers if empty), the longest life in seconds.

    With `extends`, pods' own tokens live a year, for clients that do not read theirs again.
    """

    audiences: tuple[str, ...] = ()
    longest: int = 0
    extends: bool = True


class TokenRequests:
    """The `token` subresource of service accounts."""

    def __init__(self, signer: TokenSigner, reader: Reader, terms: TokenTerms | None = None) -> None:
        self.signer = signer
        self._reader = reader
        self._terms = terms or TokenTerms()
        self._audiences = list(self._terms.audiences or signer.issuers)

    def create(
        self,
        body: Object,
        namespace: str,
        name: str,
        now: datetime.datetime,
        new_id: str,
        admit: Callable[[Object], None] = lambda _body: None,
    ) -> Object:
        """The answer to a TokenRequest, with the signed token in its status.

        `body` is a decoded TokenRequest, `new_id` a fresh UUID for the token, `admit` runs validating admission on
        the complete request. Raises `StatusError`.
        """
        self._check_names(body, namespace, name)
        account = self._reader.get("serviceaccounts", "", namespace, name)
        if account is None:
            raise not_found("serviceaccounts", "", name)
        request = self._complete(body, account, now)
        _validate(request["spec"])
        admit(request)
        spec = request["spec"]
        bound = self._bound(spec.get("boundObjectRef"), namespace, name)
        if self._terms.longest:
            spec["expirationSeconds"] = min(int(spec["expirationSeconds"]), self._terms.longest)
        seconds = int(spec["expirationSeconds"])
        claims = self._claims(account, bound, spec["audiences"], int(now.timestamp()), new_id)
        claims["exp"] = claims["iat"] + seconds
        if self._is_extended(bound, seconds) and self._ours(spec["audiences"]):
            claims["kubernetes.io"]["warnafter"] = claims["exp"]
            claims["exp"] = claims["iat"] + _EXTENDED_SECONDS
        token = self.signer.sign(dict(sorted(claims.items())))
        expires = now + datetime.timedelta(seconds=seconds)
        request["status"] = {"token": token, "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return request

    def _is_extended(self, bound: _Bound | None, seconds: int) -> bool:
        pods_own = bound is not None and bound.claim == "pod" and seconds == _POD_SECONDS
        return pods_own and self._terms.extends

    def _ours(self, audiences: Sequence[str]) -> bool:
        return set(audiences) <= set(self._audiences)

    @staticmethod
    def _check_names(body: Object, namespace: str, name: str) -> None:
        meta = body.get("metadata") or {}
        for part, wanted, noun in (("name", name, "name"), ("namespace", namespace, "namespace")):
            if meta.get(part) and meta[part] != wanted:
                why = f"must match the service account {noun} if specified"
                raise invalid("TokenRequest", GROUP, name, [field.invalid(f"metadata.{part}", meta[part], why)])

    def _complete(self, body: Object, account: Object, now: datetime.datetime) -> Object:
        """The request with all defaults, and the metadata that the answer carries."""
        spec = dict(body.get("spec") or {})
        spec["audiences"] = spec.get("audiences") or list(self._audiences)
        if spec.get("expirationSeconds") is None:
            spec["expirationSeconds"] = DEFAULT_SECONDS
        spec.setdefault("boundObjectRef", None)
        own = account["metadata"]
        meta = {
            **(body.get("metadata") or {}),
            "name": own["name"],
            "namespace": own["namespace"],
            "uid": own.get("uid", ""),
            "creationTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return {"kind": "TokenRequest", "apiVersion": API_VERSION, "metadata": meta, "spec": spec, "status": {}}

    def _bound(self, ref: Object | None, namespace: str, account: str) -> _Bound | None:
        if not ref:
            return None
        group, version = parse_api_version(ref.get("apiVersion", ""))
        kind, name = ref.get("kind", ""), ref.get("name", "")
        plural = {"Pod": "pods", "Node": "nodes", "Secret": "secrets"}.get(kind) if not group else None
        if plural is None:
            raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        obj = self._reader.get(plural, "", "" if plural == "nodes" else namespace, name)
        if obj is None:
            raise not_found(plural, "", name)
        node = None
        if plural == "pods":
            spec = obj.get("spec") or {}
            if spec.get("serviceAccountName", "") != account:
                text = f"cannot bind token for serviceaccount {field.quote(account)}"
                raise bad_request(f"{text} to pod running with different serviceaccount name.")
            node = self._node_claim(spec.get("nodeName", ""))
        uid = obj["metadata"].get("uid", "")
        if ref.get("uid") and ref["uid"] != uid:
            why = f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
            raise conflict(kind, "", name, f"{why}The object might have been deleted and then recreated")
        return _Bound(kind.lower(), uid, name, node)

    def _node_claim(self, name: str) -> Object | None:
        if not name:
            return None
        node = self._reader.get("nodes", "", "", name)
        return {"name": name, "uid": node["metadata"]["uid"]} if node is not None else {"name": name}

    def _claims(self, account: Object, bound: _Bound | None, audiences: list[str], now: int, new_id: str) -> Object:
        meta = account["metadata"]
        private: Object = {"namespace": meta["namespace"]}
        if bound is not None:
            if bound.node is not None:
                private["node"] = bound.node
            private[bound.claim] = {"name": bound.name, "uid": bound.uid}
        private["serviceaccount"] = {"name": meta["name"], "uid": meta.get("uid", "")}
        return {
            "aud": audiences,
            "iat": now,
            "iss": self.signer.issuer,
            "jti": new_id,
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }


def _validate(spec: Object) -> None:
    seconds = spec["expirationSeconds"]
    path = "spec.expirationSeconds"
    errors = []
    if seconds < _MIN_SECONDS:
        errors.append(field.invalid(path, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _MAX_SECONDS:
        errors.append(field.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"))
    if errors:
        raise invalid("TokenRequest", GROUP, "", errors)
