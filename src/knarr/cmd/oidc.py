"""The `--oidc-*` options: one issuer, as before AuthenticationConfiguration."""

from __future__ import annotations

import argparse

from knarr.apiserver.authn.jwt.spec import ALGORITHMS, Issuer, Rule, Source


def issuers(arguments: argparse.Namespace) -> tuple[Issuer, ...]:
    """The issuer that the options name, if they do. Raises `ValueError`, `OSError`."""
    url, client = arguments.oidc_issuer_url, arguments.oidc_client_id
    if not url and not client:
        return ()
    if not (url and client):
        raise ValueError("oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set")
    if not url.startswith("https://"):
        raise ValueError("oidc-issuer-url must be an https URL")
    strange = [name for name in arguments.oidc_signing_algs if name not in ALGORITHMS]
    if strange:
        raise ValueError(f"oidc: unsupported signing alg: {strange[0]!r}")
    authority = arguments.oidc_ca_file
    groups = arguments.oidc_groups_claim
    return (
        Issuer(
            url=url,
            audiences=(client,),
            username=Source(arguments.oidc_username_claim, _username_prefix(arguments)),
            groups=Source(groups, arguments.oidc_groups_prefix) if groups else Source(),
            claim_rules=tuple(map(_required, arguments.oidc_required_claim)),
            authority=authority.read_text() if authority is not None else "",
            algorithms=tuple(arguments.oidc_signing_algs),
        ),
    )


def _username_prefix(arguments: argparse.Namespace) -> str:
    """Addresses are unique without their issuer."""
    given = arguments.oidc_username_prefix
    if given == "-":
        return ""
    if given:
        return str(given)
    return "" if arguments.oidc_username_claim == "email" else f"{arguments.oidc_issuer_url}#"


def _required(text: str) -> Rule:
    claim, sign, value = text.partition("=")
    if not sign or not claim:
        raise ValueError(f"oidc-required-claim {text!r} is no key=value")
    return Rule(claim=claim.strip(), value=value.strip())
