"""The options of `knarr server` about who asks, what he may, and the certificates he gets: those of Kubernetes."""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from knarr.apimachinery import durations

_LIST_FLAGS = (
    ("--requestheader-allowed-names", "front-proxy-client", "common names of front proxies; empty: any"),
    ("--requestheader-username-headers", "X-Remote-User", "headers with the user's name"),
    ("--requestheader-uid-headers", "X-Remote-Uid", "headers with the user's uid"),
    ("--requestheader-group-headers", "X-Remote-Group", "headers with a group"),
    ("--requestheader-extra-headers-prefix", "X-Remote-Extra-", "how headers with an extra begin"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    _authentication(parser)
    _authorization(parser)
    parser.add_argument(
        "--cluster-signing-duration",
        type=_duration,
        default=_duration("8760h"),
        help="the longest life of certificates for CertificateSigningRequests",
    )


def _duration(text: str) -> datetime.timedelta:
    return datetime.timedelta(seconds=durations.parse(text))


def _authentication(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("authentication")
    add = group.add_argument
    add("--client-ca-file", type=Path, help="more authorities of client certificates")
    add("--anonymous-auth", type=_boolean, default=True, help="whether requests without credentials are let in")
    add("--token-auth-file", type=Path, help="a file with tokens: token,user,uid,groups a line")
    add("--service-account-signing-key-file", type=Path, help="the key that signs service-account tokens")
    add(
        "--service-account-key-file",
        type=Path,
        action="append",
        default=[],
        help="more keys whose tokens are taken; may be given again",
    )
    add("--service-account-issuer", action="append", default=[], help="issuer of tokens; of several the first signs")
    add("--service-account-jwks-uri", default="", help="where others find the keys, if not at this server")
    add("--service-account-max-token-expiration", type=durations.parse, default=0.0, help="the longest life of tokens")
    add("--service-account-extend-token-expiration", type=_boolean, default=True, help="let pods' own live a year")
    add("--api-audiences", type=_names, default=(), help="audiences of the API server (default: its issuers)")
    add("--authentication-token-webhook-config-file", type=Path, help="a kubeconfig that names a webhook for tokens")
    add("--authentication-token-webhook-cache-ttl", type=durations.parse, default=120.0, help="how long answers hold")
    add("--authentication-token-webhook-version", choices=["v1", "v1beta1"], default="v1beta1", help="its API version")
    add("--authentication-config", type=Path, help="an AuthenticationConfiguration, which is followed")
    add("--oidc-issuer-url", default="", help="an issuer of tokens (better: --authentication-config)")
    add("--oidc-client-id", default="", help="the audience of its tokens")
    add("--oidc-ca-file", type=Path, help="the authority of its certificate (default: the system's)")
    add("--oidc-username-claim", default="sub", help="the claim that is the user's name")
    add("--oidc-username-prefix", default="", help="what goes before it; -: nothing (default: the issuer, and #)")
    add("--oidc-groups-claim", default="", help="the claim with the user's groups")
    add("--oidc-groups-prefix", default="", help="what goes before each")
    add("--oidc-required-claim", action="append", default=[], help="claim=value that must hold; may be given again")
    add("--oidc-signing-algs", type=_names, default=("RS256",), help="how the issuer may sign")
    add("--requestheader-client-ca-file", type=Path, help="authorities of front proxies (default: the cluster's own)")
    for name, default, text in _LIST_FLAGS:
        add(name, type=_names, default=_names(default), help=text)


def _authorization(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("authorization").add_argument
    add("--authorization-mode", type=_names, help="authorizers in their order (default: Node,RBAC)")
    add("--authorization-config", type=Path, help="an AuthorizationConfiguration, which is followed")
    add("--authorization-policy-file", type=Path, help="the policies of mode ABAC")
    add("--authorization-webhook-config-file", type=Path, help="a kubeconfig that names a webhook")
    add("--authorization-webhook-version", choices=["v1", "v1beta1"], default="v1beta1", help="its API version")
    add("--authorization-webhook-cache-authorized-ttl", type=durations.parse, default=300.0, help="how long yes holds")
    add("--authorization-webhook-cache-unauthorized-ttl", type=durations.parse, default=30.0, help="how long no holds")


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "1", "t"):
        return True
    if text.lower() in ("false", "0", "f"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")
