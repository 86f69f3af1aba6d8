"""Tokens of other issuers: what a configuration may say, and who claims stand for."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from knarr.apimachinery.types import Object
from knarr.apiserver.authn.authenticator import Anonymous
from knarr.apiserver.authn.jwt import configuration
from knarr.apiserver.authn.jwt.claims import user_of
from knarr.apiserver.authn.jwt.configuration import Configuration
from knarr.apiserver.authn.jwt.spec import Issuer
from knarr.apiserver.authn.tokens import TokenError
from knarr.apiserver.request import UserInfo

OWN = ("https://kubernetes.default.svc",)
CLAIMS: Object = {
    "iss": "https://issuer.example",
    "sub": "7",
    "username": "jane",
    "roles": ["dev", "ops"],
    "team": "blue",
    "email": "jane@example.com",
    "email_verified": True,
    "exp": 2000000000,
    "nbf": 1000000000,
    "nested": {"a": {"b": "c"}},
}


def configured(issuer: Any = None, mappings: Any = None, anonymous: Any = None, **more: Any) -> Configuration:
    about = {"url": "https://issuer.example", "audiences": ["knarr"], **(issuer or {})}
    names = {"username": {"claim": "sub", "prefix": "oidc:"}} if mappings is None else mappings
    document: Object = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [{"issuer": about, "claimMappings": names, **more}],
    }
    if anonymous is not None:
        document["anonymous"] = anonymous
    return configuration.parse(yaml.safe_dump(document), OWN)


def one(mappings: Any = None, **more: Any) -> Issuer:
    (issuer,) = configured(mappings=mappings, **more).issuers
    return issuer


def test_claims_with_prefixes() -> None:
    mappings = {
        "username": {"claim": "username", "prefix": "oidc:"},
        "groups": {"claim": "roles", "prefix": "role:"},
        "uid": {"claim": "sub"},
    }
    assert user_of(one(mappings), CLAIMS) == UserInfo("oidc:jane", ("role:dev", "role:ops"), "7", {})


def test_expressions() -> None:
    mappings = {
        "username": {"expression": "'x:' + claims.username"},
        "groups": {"expression": "claims.roles.map(r, 'g:' + r) + [claims.team]"},
        "uid": {"expression": "claims.sub"},
        "extra": [
            {"key": "example.com/deep", "valueExpression": "claims.nested.a.b"},
            {"key": "example.com/absent", "valueExpression": "has(claims.nothing) ? claims.nothing : ''"},
        ],
    }
    wanted = UserInfo("x:jane", ("g:dev", "g:ops", "blue"), "7", {"example.com/deep": ("c",)})
    assert user_of(one(mappings), CLAIMS) == wanted


LIFE = {"expression": "claims.exp - claims.nbf <= 86400", "message": "too long a life"}
NO_SYSTEM = {"expression": "!user.username.startsWith('system:')", "message": "no system users"}
DEV = {"expression": "user.groups.exists(g, g == 'dev')", "message": "developers only"}


@pytest.mark.parametrize(
    ("claims", "mappings", "rules", "why"),
    [
        ({}, None, {"claimValidationRules": [LIFE]}, "too long a life"),
        (
            {"team": "red"},
            None,
            {"claimValidationRules": [{"claim": "team", "requiredValue": "blue"}]},
            "does not match",
        ),
        ({}, None, {"claimValidationRules": [{"claim": "x", "requiredValue": "y"}]}, "not present in ID token"),
        ({}, None, {"claimValidationRules": [{"expression": "claims.nothing == 'x'"}]}, "no such key"),
        ({}, {"username": {"claim": "sub", "prefix": "system:"}}, {"userValidationRules": [NO_SYSTEM]}, "no system"),
        ({}, None, {"userValidationRules": [DEV]}, "developers only"),
        ({"email_verified": False}, {"username": {"claim": "email", "prefix": ""}}, {}, "email not verified"),
        ({"sub": 7}, None, {}, "it is no string"),
        ({"sub": ""}, {"username": {"expression": "claims.sub"}}, {}, "not empty"),
        (
            {"roles": [1]},
            {"username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "roles", "prefix": ""}},
            {},
            "list",
        ),
    ],
)
def test_who_is_not_let_in(claims: Object, mappings: Any, rules: Object, why: str) -> None:
    with pytest.raises(TokenError, match=why):
        user_of(one(mappings, **rules), {**CLAIMS, **claims})


def test_anonymous_access_by_path() -> None:
    assert configured().anonymous is None
    conditions = [{"path": "/livez"}, {"path": "/healthz"}]
    found = configured(anonymous={"enabled": True, "conditions": conditions}).anonymous
    assert found == Anonymous(enabled=True, paths=frozenset({"/livez", "/healthz"}))
    with pytest.raises(ValueError, match="enabled should be set to true"):
        configured(anonymous={"enabled": False, "conditions": conditions})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"issuer": {"url": "http://issuer.example"}}, r"jwt\[0\].issuer.url: .*scheme must be https"),
        ({"issuer": {"url": "https://a:b@issuer.example"}}, "username or password"),
        ({"issuer": {"url": OWN[0]}}, "disallowed issuers"),
        ({"issuer": {"discoveryURL": "https://issuer.example/"}}, "must be different from URL"),
        ({"issuer": {"audiences": []}}, "at least one audience"),
        ({"issuer": {"audiences": ["a", "b"]}}, "must be MatchAny"),
        ({"issuer": {"certificateAuthority": "x"}}, "certificateAuthority"),
        ({"mappings": {}}, "claim or expression is required"),
        ({"mappings": {"username": {"claim": "sub"}}}, "prefix is required"),
        ({"mappings": {"username": {"claim": "sub", "prefix": "", "expression": "'a'"}}}, "can't both be set"),
        ({"mappings": {"username": {"expression": "1"}}}, "must evaluate to string, not int"),
        ({"mappings": {"username": {"expression": "claims."}}}, "Syntax error"),
        ({"mappings": {"username": {"expression": "user.username"}}}, "undeclared reference"),
        ({"mappings": {"username": {"expression": "claims.email"}}}, "email_verified must be used"),
        ({"userValidationRules": [{"expression": "user.nothing == ''"}]}, "undefined field"),
        ({"claimValidationRules": [{"claim": "a", "expression": "true"}]}, "can't be set together"),
        ({"claimValidationRules": [{"claim": "a"}, {"claim": "a"}]}, "Duplicate"),
        ({"surprise": 1}, "unknown field"),
        (
            {
                "mappings": {
                    "username": {"expression": "'a'"},
                    "extra": [{"key": "x.k8s.io/a", "valueExpression": "'a'"}],
                }
            },
            "domains are reserved",
        ),
    ],
)
def test_a_wrong_configuration_names_its_field(given: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        configured(**given)
