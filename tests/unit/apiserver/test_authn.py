"""Authentication: certificates, service-account and bootstrap tokens, and what makes them invalid."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pytest

from knarr.api.semantics import token_secrets
from knarr.apimachinery.errors import StatusError
from knarr.apimachinery.types import Object
from knarr.apiserver.access_reviews import token_review
from knarr.apiserver.authn.authenticator import Anonymous, Authenticator
from knarr.apiserver.authn.bootstrap_tokens import BootstrapTokens
from knarr.apiserver.authn.service_accounts import ServiceAccountTokens
from knarr.apiserver.authn.tokens import TokenAuthenticator
from knarr.apiserver.request import Request
from knarr.apiserver.tokens import ISSUER, TokenRequests, TokenSigner
from knarr.component_base.clock import FakeClock

ACCOUNT: Object = {"metadata": {"namespace": "ns", "name": "sa", "uid": "sa-1"}}


def rsa_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def ec_key() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


RSA = rsa_key()


class World:
    """Everything a token needs."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.clock = FakeClock()
        self.signer = TokenSigner(RSA)
        self.requests = TokenRequests(self.signer, reader)
        sources = (
            ServiceAccountTokens(self.signer, reader, self.clock),
            BootstrapTokens(reader, self.clock, self.signer.issuers),
        )
        self.tokens = TokenAuthenticator(sources, self.clock, self.signer.issuers)
        self.authn = Authenticator(self.tokens)
        reader.add("serviceaccounts", ACCOUNT)

    def request(self, **spec: Any) -> Object:
        body = {"kind": "TokenRequest", "spec": spec}
        return self.requests.create(body, "ns", "sa", self.clock.now(), "id-1")

    def token(self, **spec: Any) -> str:
        return str(self.request(**spec)["status"]["token"])

    def user(self, token: str) -> Any:
        return self.authn.authenticate(Request("GET", "/", {}, {"authorization": f"Bearer {token}"}))

    def review(self, token: str, *audiences: str) -> Object:
        body = {"spec": {"token": token, "audiences": list(audiences)}}
        status: Object = token_review(body, self.tokens)["status"]
        return status

    def pod(self, **spec: Any) -> Object:
        pod = {"metadata": {"namespace": "ns", "name": "p", "uid": "p-1"}, "spec": {"serviceAccountName": "sa", **spec}}
        self.reader.add("pods", pod)
        return pod


@pytest.fixture
def world(reader: Any) -> World:
    return World(reader)


def refused(world: World, token: str) -> str:
    with pytest.raises(StatusError) as caught:
        world.user(token)
    assert caught.value.code == 401
    return str(world.review(token)["error"])


def test_nobody_is_anonymous(world: World) -> None:
    user = world.authn.authenticate(Request("GET", "/", {}, {}))
    assert (user.name, user.groups) == ("system:anonymous", ("system:unauthenticated",))
    basic = world.authn.authenticate(Request("GET", "/", {}, {"authorization": "Basic YTpi"}))
    assert basic.name == "system:anonymous"


def test_without_anonymous_access_nobody_is_refused(world: World) -> None:
    with pytest.raises(StatusError):
        Authenticator(world.tokens, Anonymous(enabled=False)).authenticate(Request("GET", "/", {}, {}))


def test_a_certificate_names_the_user(world: World) -> None:
    request = Request("GET", "/", {}, {"authorization": "Bearer bad"}, peer=("alice", ("devs",)))
    user = world.authn.authenticate(request)
    assert (user.name, user.groups) == ("alice", ("devs", "system:authenticated"))


def test_a_token_names_the_account(world: World) -> None:
    user = world.user(world.token())
    assert (user.name, user.uid) == ("system:serviceaccount:ns:sa", "sa-1")
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert user.extra == {"authentication.kubernetes.io/credential-id": ("JTI=id-1",)}


def test_a_websocket_carries_its_token_as_a_protocol(world: World) -> None:
    encoded = base64.urlsafe_b64encode(world.token().encode()).decode().rstrip("=")
    headers = {
        "upgrade": "websocket",
        "sec-websocket-protocol": f"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}",
    }
    assert world.authn.authenticate(Request("GET", "/", {}, headers)).name == "system:serviceaccount:ns:sa"


def test_claims_are_those_of_kubernetes(world: World) -> None:
    world.reader.add("nodes", {"metadata": {"name": "n1", "uid": "n-1"}})
    world.pod(nodeName="n1")
    token = world.token(boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "p"}, expirationSeconds=600)
    now = int(world.clock.now().timestamp())
    claims = world.signer.verify(token)
    assert list(claims or {}) == ["aud", "exp", "iat", "iss", "jti", "kubernetes.io", "nbf", "sub"]
    assert claims == {
        "aud": [ISSUER],
        "exp": now + 600,
        "iat": now,
        "iss": ISSUER,
        "jti": "id-1",
        "kubernetes.io": {
            "namespace": "ns",
            "node": {"name": "n1", "uid": "n-1"},
            "pod": {"name": "p", "uid": "p-1"},
            "serviceaccount": {"name": "sa", "uid": "sa-1"},
        },
        "nbf": now,
        "sub": "system:serviceaccount:ns:sa",
    }
    extra = world.user(token).extra
    assert extra["authentication.kubernetes.io/pod-name"] == ("p",)
    assert extra["authentication.kubernetes.io/node-uid"] == ("n-1",)


def test_a_pods_own_token_lives_a_year_for_clients_that_do_not_reload(world: World) -> None:
    world.pod()
    answer = world.request(boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "p"}, expirationSeconds=3607)
    claims = world.signer.verify(answer["status"]["token"]) or {}
    assert claims["kubernetes.io"]["warnafter"] == claims["iat"] + 3607
    assert claims["exp"] == claims["iat"] + 365 * 24 * 3600
    expires = datetime.datetime.fromisoformat(answer["status"]["expirationTimestamp"])
    assert expires == world.clock.now() + datetime.timedelta(seconds=3607)


def test_the_header_says_algorithm_and_key(world: World) -> None:
    import jwt

    assert jwt.get_unverified_header(world.token()) == {"alg": "RS256", "kid": world.signer.jwks()["keys"][0]["kid"]}


@pytest.mark.parametrize("key", [RSA, ec_key()], ids=["RS256", "ES256"])
def test_the_published_keys_verify(key: bytes) -> None:
    import jwt

    signer = TokenSigner(key)
    token = signer.sign({"iss": ISSUER, "aud": ["x"]})
    published = jwt.PyJWKSet.from_dict(signer.jwks())
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, published[header["kid"]].key, [header["alg"]], audience="x", issuer=ISSUER)
    assert claims["iss"] == ISSUER
    assert signer.discovery("https://x/openid/v1/jwks")["id_token_signing_alg_values_supported"] == [header["alg"]]


def test_an_earlier_key_still_verifies(world: World) -> None:
    rotated = TokenSigner(ec_key(), [RSA])
    assert rotated.verify(world.token()) is not None
    assert TokenSigner(ec_key()).verify(world.token()) is None


def test_foreign_and_unsigned_tokens_are_nobodys(world: World) -> None:
    import jwt

    claims = world.signer.verify(world.token()) or {}
    unsigned = jwt.encode(claims, "", algorithm="none")
    foreign = TokenSigner(rsa_key()).sign(claims)
    tampered = world.token()[:-8] + "AAAAAAAA"
    for token in (unsigned, foreign, tampered, "not-a-token", "x.y.z"):
        assert refused(world, token) == "invalid bearer token"


def test_a_public_key_is_no_shared_secret(world: World) -> None:
    import hashlib
    import hmac

    import orjson
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    public = load_pem_private_key(RSA, None).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def part(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    signed = part(orjson.dumps({"alg": "HS256"})) + b"." + part(orjson.dumps(world.signer.verify(world.token())))
    token = signed + b"." + part(hmac.new(pem, signed, hashlib.sha256).digest())
    assert world.signer.verify(token.decode()) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda w: w.clock.advance(3601), "service account token has expired"),
        (lambda w: w.reader.remove("serviceaccounts", "ns", "sa"), 'serviceaccounts "sa" not found'),
        (
            lambda w: w.reader.add("serviceaccounts", {"metadata": {**ACCOUNT["metadata"], "uid": "sa-2"}}),
            "service account UID (sa-2) does not match claim (sa-1)",
        ),
        (
            lambda w: w.reader.add(
                "serviceaccounts", {"metadata": {**ACCOUNT["metadata"], "deletionTimestamp": "2020-01-01T00:00:00Z"}}
            ),
            "service account has been deleted",
        ),
    ],
    ids=["expired", "gone", "another", "deleted"],
)
def test_a_token_ends_with_its_account_or_time(world: World, change: Any, text: str) -> None:
    token = world.token()
    world.user(token)
    change(world)
    world.clock.advance(10)
    assert refused(world, token) == f"[invalid bearer token, {text}]"


@pytest.mark.parametrize("kind", ["Pod", "Secret", "Node"])
def test_a_token_ends_with_what_it_is_bound_to(world: World, kind: str) -> None:
    plural, namespace = kind.lower() + "s", "" if kind == "Node" else "ns"
    meta: Object = {"name": "x", "uid": "x-1", **({"namespace": namespace} if namespace else {})}
    world.reader.add(plural, {"metadata": meta, "spec": {"serviceAccountName": "sa"}})
    token = world.token(boundObjectRef={"apiVersion": "v1", "kind": kind, "name": "x"})
    world.user(token)
    world.reader.remove(plural, namespace, "x")
    world.clock.advance(11)
    assert refused(world, token) == "[invalid bearer token, service account token has been invalidated]"
    world.reader.add(plural, {"metadata": {**meta, "uid": "x-2"}})
    assert "UID (x-2) does not match" in refused(world, token)


def test_a_deletion_is_forgiven_for_a_minute(world: World) -> None:
    pod = world.pod()
    token = world.token(boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "p"})
    pod["metadata"]["deletionTimestamp"] = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    world.clock.advance(50)
    world.user(token)
    world.clock.advance(20)
    refused(world, token)


def test_a_verified_token_is_looked_at_again_soon(world: World) -> None:
    token = world.token()
    world.user(token)
    world.reader.remove("serviceaccounts", "ns", "sa")
    world.clock.advance(9)
    world.user(token)
    world.tokens.forget()
    refused(world, token)


def test_another_audience(world: World) -> None:
    token = world.token(audiences=["vault"])
    assert refused(world, token) == (
        f'[invalid bearer token, token audiences ["vault"] is invalid for the target audiences ["{ISSUER}"]]'
    )
    status = world.review(token, "vault", "other")
    assert (status["authenticated"], status["audiences"]) == (True, ["vault"])


@pytest.mark.parametrize(
    ("spec", "code", "text"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, 422, "may not specify a duration larger than 2^32 seconds"),
        (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}},
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        ({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "none"}}, 404, 'pods "none" not found'),
        (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "other"}},
            409,
            'Operation cannot be fulfilled on Pod "p": the UID in the bound object reference (other) does not match '
            "the UID in record. The object might have been deleted and then recreated",
        ),
    ],
)
def test_bad_token_requests(world: World, spec: Object, code: int, text: str) -> None:
    world.pod()
    with pytest.raises(StatusError) as caught:
        world.request(**spec)
    assert (caught.value.code, text in caught.value.message) == (code, True)


def test_a_pod_of_another_account(world: World) -> None:
    world.pod(serviceAccountName="other")
    with pytest.raises(StatusError, match="running with different serviceaccount name"):
        world.request(boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "p"})


def test_a_body_with_another_name_is_refused(world: World) -> None:
    with pytest.raises(StatusError) as caught:
        world.requests.create({"metadata": {"name": "x"}}, "ns", "sa", world.clock.now(), "id")
    assert caught.value.code == 422


def encoded(**data: str) -> dict[str, str]:
    return {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}


def bootstrap(world: World, **changes: str) -> None:
    data = {
        "token_id": "abcdef",
        "token_secret": "0123456789abcdef",
        "usage_bootstrap_authentication": "true",
        "expiration": "2026-01-01T01:00:00Z",
        "auth_extra_groups": "system:bootstrappers:workers",
        **changes,
    }
    meta = {"namespace": "kube-system", "name": "bootstrap-token-abcdef"}
    world.reader.add("secrets", {"metadata": meta, "type": "bootstrap.kubernetes.io/token", "data": encoded(**data)})


def test_a_bootstrap_token_joins_nodes(world: World) -> None:
    bootstrap(world)
    user = world.user("abcdef.0123456789abcdef")
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups == ("system:bootstrappers", "system:bootstrappers:workers", "system:authenticated")


@pytest.mark.parametrize(
    "changes",
    [
        {"token_secret": "0123456789abcdee"},
        {"usage_bootstrap_authentication": "false"},
        {"expiration": "2025-12-31T00:00:00Z"},
        {"expiration": "soon"},
        {"auth_extra_groups": "system:masters"},
        {"token_id": "ghijkl"},
    ],
)
def test_bad_bootstrap_tokens(world: World, changes: dict[str, str]) -> None:
    bootstrap(world, **changes)
    refused(world, "abcdef.0123456789abcdef")


def test_a_token_in_a_secret_is_good_while_it_stands_there(world: World) -> None:
    secret: Object = {"metadata": {"namespace": "ns", "name": "s"}, "type": "kubernetes.io/service-account-token"}
    world.reader.add("secrets", secret)
    token = world.signer.sign(token_secrets.claims(ACCOUNT, secret))
    assert refused(world, token) == "[invalid bearer token, Token does not match server's copy]"
    secret["data"] = encoded(token=token)
    assert world.user(token).name == "system:serviceaccount:ns:sa"
    world.reader.remove("secrets", "ns", "s")
    world.clock.advance(11)
    assert refused(world, token) == "[invalid bearer token, Token has been invalidated]"
