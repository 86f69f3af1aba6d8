"""The options of `knarr server` about users and rights: what they say, and what is refused."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

import pytest

from knarr.apiserver.authn.jwt.spec import Issuer, Rule, Source
from knarr.apiserver.authn.settings import AuthenticationSettings
from knarr.apiserver.authz.settings import AuthorizationSettings
from knarr.cmd import identity, identity_flags
from knarr.cmd.identity import Authorities, FlagError
from knarr.component_base import certificates
from knarr.component_base.clock import FakeClock

NOW = FakeClock().now()
CLIENTS, PROXIES = (certificates.new_authority(name, NOW).certificate for name in ("ca", "front-proxy-ca"))


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    identity_flags.add_arguments(parser)
    return parser.parse_args(options)


def authentication(*options: str) -> AuthenticationSettings:
    arguments = parsed(*options)
    return identity.settings(arguments, identity.authorities(arguments, CLIENTS, PROXIES), FakeClock())


def authorization(*options: str) -> AuthorizationSettings:
    return identity.authorization(parsed(*options))


def test_without_options() -> None:
    found = authentication()
    assert (found.issuers, found.audiences) == (("https://kubernetes.default.svc",), found.issuers)
    assert not found.has_more
    assert found.anonymous.admits("/")
    assert [spec.type for spec in authorization().authorizers] == ["Node", "RBAC"]
    assert parsed().cluster_signing_duration == datetime.timedelta(days=365)


def test_front_proxies_are_told_from_clients() -> None:
    proxy = authentication("--requestheader-allowed-names", "a,b", "--requestheader-username-headers", "X-User").proxy
    assert proxy is not None
    assert (proxy.names, proxy.user) == (("a", "b"), ("x-user",))
    assert len(proxy.issuers) == len(proxy.client_issuers) == 1
    assert proxy.issuers != proxy.client_issuers


def test_keys_issuers_and_terms(tmp_path: Path) -> None:
    old, new = (certificates.signing_key(tmp_path, name) for name in ("old", "new"))
    keys = ("--service-account-key-file", str(tmp_path / "old.key"), "--service-account-signing-key-file")
    issuers = ("--service-account-issuer", "https://a", "--service-account-issuer", "https://b")
    terms = ("--service-account-max-token-expiration", "2h", "--service-account-extend-token-expiration", "false")
    arguments = (*keys, str(tmp_path / "new.key"), *issuers, *terms, "--api-audiences", "x,y")
    found = authentication(*arguments)
    assert (found.keys, found.issuers, found.audiences) == ([old], ("https://a", "https://b"), ("x", "y"))
    assert (found.terms.longest, found.terms.extends) == (7200, False)
    assert identity.signing_keys(parsed(*arguments), b"own") == [new, b"own"]


def test_an_issuer_by_options() -> None:
    names = ("--oidc-username-claim", "name", "--oidc-groups-claim", "groups", "--oidc-groups-prefix", "g:")
    rules = ("--oidc-required-claim", "team=blue", "--oidc-signing-algs", "ES256")
    url = ("--oidc-issuer-url", "https://issuer.example", "--oidc-client-id", "knarr")
    (issuer,) = authentication(*url, *names, *rules).issuers_of_jwt
    assert issuer == Issuer(
        url="https://issuer.example",
        audiences=("knarr",),
        username=Source("name", "https://issuer.example#"),
        groups=Source("groups", "g:"),
        claim_rules=(Rule(claim="team", value="blue"),),
        algorithms=("ES256",),
    )
    (plain,) = authentication(*url, "--oidc-username-claim", "email").issuers_of_jwt
    assert plain.username == Source("email")
    (bare,) = authentication(*url, "--oidc-username-prefix", "-").issuers_of_jwt
    assert bare.username == Source("sub")


@pytest.mark.parametrize(
    "options",
    [
        ("--token-auth-file", "/nowhere"),
        ("--token-auth-file", "/etc/hostname"),
        ("--authentication-config", "/nowhere"),
        ("--authentication-token-webhook-config-file", "/nowhere"),
        ("--service-account-key-file", "/nowhere"),
        ("--service-account-key-file", __file__),
        ("--service-account-max-token-expiration", "1m"),
        ("--oidc-issuer-url", "https://issuer.example"),
        ("--oidc-issuer-url", "http://issuer.example", "--oidc-client-id", "k"),
        ("--oidc-issuer-url", "https://issuer.example", "--oidc-client-id", "k", "--oidc-signing-algs", "HS256"),
        ("--oidc-issuer-url", "https://issuer.example", "--oidc-client-id", "k", "--oidc-required-claim", "x"),
        ("--client-ca-file", "/nowhere"),
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(options: tuple[str, ...]) -> None:
    with pytest.raises(FlagError):
        authentication(*options)


@pytest.mark.parametrize(
    "options",
    [
        ("--authorization-mode", "Some"),
        ("--authorization-mode", "Webhook"),
        ("--authorization-mode", "RBAC", "--authorization-webhook-config-file", "/nowhere"),
        ("--authorization-mode", "ABAC"),
        ("--authorization-policy-file", "/nowhere"),
        ("--authorization-config", "/nowhere"),
        ("--authorization-config", "/nowhere", "--authorization-mode", "RBAC"),
    ],
)
def test_authorizers_that_cannot_be_had_are_refused_at_the_start(options: tuple[str, ...]) -> None:
    with pytest.raises(FlagError):
        authorization(*options)


def test_authorities_are_added_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "more").write_bytes(PROXIES)
    found = identity.authorities(parsed("--client-ca-file", str(tmp_path / "more")), CLIENTS, PROXIES)
    assert found == Authorities(CLIENTS + b"\n" + PROXIES, PROXIES)
