"""What strangers send as credentials, and what webhooks and issuers answer: refused, whatever it is."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.apimachinery.errors import StatusError
from knarr.apiserver.authn import webhook as token_webhook
from knarr.apiserver.authn.authenticator import Authenticator, bearer_token
from knarr.apiserver.authn.bootstrap_tokens import BootstrapTokens
from knarr.apiserver.authn.jwt import claims, keys
from knarr.apiserver.authn.jwt.spec import Issuer, Rule, Source
from knarr.apiserver.authn.jwt.tokens import JwtTokens
from knarr.apiserver.authn.service_accounts import ServiceAccountTokens
from knarr.apiserver.authn.static_tokens import StaticTokens
from knarr.apiserver.authn.tokens import TokenAuthenticator, TokenError
from knarr.apiserver.authz import webhook as authz_webhook
from knarr.apiserver.outside import OutsideError
from knarr.apiserver.pending import Pending
from knarr.apiserver.request import Request, UserInfo
from knarr.apiserver.tokens import TokenSigner
from knarr.component_base.clock import FakeClock
from knarr.component_base.tasks import Tasks

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
ISSUER = Issuer(
    url="https://issuer.example",
    audiences=("knarr",),
    username=Source(claim="sub"),
    groups=Source(claim="groups"),
    extra=(("example.com/a", "claims.?a.orValue('')"),),
    user_rules=(Rule(expression="user.groups.all(g, g != 'x')"),),
)


class Nothing:
    """A cluster without objects."""

    def get(self, *_names: str) -> None:
        return None

    def list(self, *_names: str) -> list[Any]:
        return []


def authenticator() -> Authenticator:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    encoding = serialization.Encoding.PEM
    pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    clock, own = FakeClock(), ("https://kubernetes.default.svc",)
    others = JwtTokens(own, clock, Tasks())
    others.use([ISSUER])
    sources = (
        StaticTokens("a,b,c", own),
        ServiceAccountTokens(TokenSigner(pem), Nothing(), clock),
        BootstrapTokens(Nothing(), clock, own),
        others,
    )
    return Authenticator(TokenAuthenticator(sources, clock, own))


AUTHENTICATOR = authenticator()


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


HEADS = st.fixed_dictionaries(
    {"alg": st.sampled_from(["RS256", "ES256", "HS256", "none"]) | JSON}, optional={"kid": JSON}
)
BODIES = st.fixed_dictionaries({"iss": st.just(ISSUER.url) | JSON}, optional={"aud": JSON, "exp": JSON, "nbf": JSON})
TOKENS = st.text(max_size=60) | st.builds(
    lambda head, body, rest: f"{part(head)}.{part(body)}.{rest}",
    HEADS | JSON,
    BODIES | JSON,
    st.text("AB-_=.", max_size=90),
)


@given(TOKENS)
def test_no_token_but_a_good_one_lets_anybody_in(token: str) -> None:
    request = Request("GET", "/", {}, {"authorization": f"Bearer {token}"})
    if not bearer_token(request):
        return
    # An issuer's keys are not there yet: it would have to be asked.
    with pytest.raises((StatusError, Pending)) as raised:
        AUTHENTICATOR.authenticate(request)
    assert not isinstance(raised.value, StatusError) or raised.value.code == 401


@given(JSON)
def test_claims_make_a_user_or_are_refused(found: Any) -> None:
    whole = found if isinstance(found, dict) else {"sub": found, "groups": found, "a": found}
    try:
        user = claims.user_of(ISSUER, whole)
    except TokenError:
        return
    assert user.name
    assert all(isinstance(group, str) for group in user.groups)


@given(st.dictionaries(st.sampled_from(["authenticated", "user", "audiences", "error"]), JSON) | JSON)
def test_a_token_webhook_says_who_it_is_or_nothing(status: Any) -> None:
    if not isinstance(status, dict):
        return
    with contextlib.suppress(OutsideError):
        answer = token_webhook.read(status, ("a",))
        assert answer.found is None or isinstance(answer.found.user, UserInfo)


@given(st.dictionaries(st.sampled_from(["allowed", "denied", "reason"]), JSON))
def test_only_a_plain_yes_allows(status: Any) -> None:
    decision = authz_webhook.read(status)
    assert decision.allowed is (status.get("allowed") is True and status.get("denied") is not True)


KEYS = st.fixed_dictionaries(
    {}, optional={"kty": st.sampled_from(["RSA", "EC"]) | JSON, "n": JSON, "e": JSON, "x": JSON}
)


@given(st.fixed_dictionaries({"keys": JSON | st.lists(KEYS | JSON, max_size=5)}) | JSON)
def test_a_set_of_keys_may_be_anything(found: Any) -> None:
    if isinstance(found, dict):
        assert all(isinstance(name, str) for name, _ in keys._keys(found))  # noqa: SLF001 - the reader of the document
