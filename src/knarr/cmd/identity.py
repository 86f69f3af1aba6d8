"""What the options of `knarr server` about authentication say."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knarr.apiserver import token_keys
from knarr.apiserver.authn.authenticator import Anonymous
from knarr.apiserver.authn.front_proxy import FrontProxy
from knarr.apiserver.authn.settings import AuthenticationSettings, TokenWebhook
from knarr.apiserver.authz.settings import AuthorizationSettings, HookSpec, Terms, from_modes
from knarr.apiserver.tokens import ISSUER, TokenTerms
from knarr.component_base import kubeconfig
from knarr.component_base.clock import Clock

if TYPE_CHECKING:
    from knarr.apiserver.authn.jwt.spec import Issuer


class FlagError(Exception):
    """An option, or a file it names, cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Authorities:
    """Who signs the certificates of clients, and those of front proxies: PEM."""

    clients: bytes
    proxies: bytes

    def trust(self, context: ssl.SSLContext) -> None:
        """Take the certificates of both. Raises `ssl.SSLError`."""
        context.load_verify_locations(cadata=(self.clients + b"\n" + self.proxies).decode())


def authorities(arguments: argparse.Namespace, own: bytes, own_proxies: bytes) -> Authorities:
    """The authorities that the options name beside the cluster's own. Raises `FlagError`."""
    more, proxies = arguments.client_ca_file, arguments.requestheader_client_ca_file
    try:
        return Authorities(
            clients=own + (b"\n" + more.read_bytes() if more is not None else b""),
            proxies=own_proxies if proxies is None else proxies.read_bytes(),
        )
    except OSError as error:
        raise FlagError(str(error)) from error


def settings(arguments: argparse.Namespace, trusted: Authorities, clock: Clock) -> AuthenticationSettings:
    """What the options say. Raises `FlagError`."""
    try:
        return _settings(arguments, trusted, clock)
    except (ValueError, OSError) as error:
        raise FlagError(str(error)) from error


def _settings(arguments: argparse.Namespace, trusted: Authorities, clock: Clock) -> AuthenticationSettings:
    path = arguments.authentication_token_webhook_config_file
    webhook = None
    if path is not None:
        version = f"authentication.k8s.io/{arguments.authentication_token_webhook_version}"
        keep = arguments.authentication_token_webhook_cache_ttl
        from knarr.apiserver.outside import Webhook

        webhook = TokenWebhook(Webhook.named_by(path, clock), version, keep)
    return AuthenticationSettings(
        keys=[_checked(each, token_keys.public) for each in arguments.service_account_key_file],
        issuers=tuple(arguments.service_account_issuer) or (ISSUER,),
        jwks_uri=arguments.service_account_jwks_uri,
        terms=TokenTerms(
            audiences=arguments.api_audiences,
            longest=_longest(arguments.service_account_max_token_expiration),
            extends=arguments.service_account_extend_token_expiration,
        ),
        static_tokens=_static_tokens(arguments.token_auth_file),
        webhook=webhook,
        anonymous=Anonymous(arguments.anonymous_auth),
        proxy=_front_proxy(arguments, trusted),
        issuers_of_jwt=_issuers(arguments),
        file=_configuration(arguments),
    )


def _checked(path: Path, read: Callable[[bytes], object]) -> bytes:
    """A file with keys that can be read. Raises `ValueError`, `OSError`."""
    content = path.read_bytes()
    try:
        read(content)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return content


def _static_tokens(path: Path | None) -> str:
    """The lines of a token file, if they can be used. Raises `ValueError`, `OSError`."""
    if path is None:
        return ""
    from knarr.apiserver.authn.static_tokens import StaticTokens

    text = path.read_text()
    StaticTokens(text, ())
    return text


def _issuers(arguments: argparse.Namespace) -> tuple[Issuer, ...]:
    if not arguments.oidc_issuer_url and not arguments.oidc_client_id:
        return ()
    from knarr.cmd import oidc

    return oidc.issuers(arguments)


def _configuration(arguments: argparse.Namespace) -> Path | None:
    """The file of an AuthenticationConfiguration, if it can be used. Raises `ValueError`, `OSError`."""
    path: Path | None = arguments.authentication_config
    if path is None:
        return None
    if arguments.oidc_issuer_url:
        raise ValueError("authentication-config file and oidc-* flags are mutually exclusive")
    from knarr.apiserver.authn.jwt import configuration

    with _named(path):
        configuration.load(path, tuple(arguments.service_account_issuer) or (ISSUER,))
    return path


def authorization(arguments: argparse.Namespace) -> AuthorizationSettings:
    """Which authorizers there are. Raises `FlagError`."""
    try:
        return _authorization(arguments)
    except (ValueError, OSError) as error:
        raise FlagError(str(error)) from error


def _authorization(arguments: argparse.Namespace) -> AuthorizationSettings:
    file, modes, hook = arguments.authorization_config, arguments.authorization_mode, None
    path = arguments.authorization_webhook_config_file
    if file is not None:
        if modes is not None or path is not None:
            raise ValueError("--authorization-config can not be specified with --authorization-mode or -webhook-*")
        from knarr.apiserver.authz import configuration

        with _named(file):
            return configuration.load(file)
    if path is not None:
        terms = Terms(
            f"authorization.k8s.io/{arguments.authorization_webhook_version}",
            arguments.authorization_webhook_cache_authorized_ttl,
            arguments.authorization_webhook_cache_unauthorized_ttl,
        )
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        kubeconfig.load(path)
        hook = HookSpec(path, terms)
    policies = arguments.authorization_policy_file
    if policies is not None:
        from knarr.apiserver.authz.abac import AbacAuthorizer

        AbacAuthorizer(policies.read_text())
    return from_modes(("Node", "RBAC") if modes is None else modes, hook, policies)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let what is wrong with a file name it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _longest(seconds: float) -> int:
    if seconds and not 3600 <= seconds <= 1 << 32:
        raise ValueError("the service-account-max-token-expiration must be between 1 hour and 2^32 seconds")
    return int(seconds)


def _front_proxy(arguments: argparse.Namespace, trusted: Authorities) -> FrontProxy:
    return FrontProxy(
        issuers=_subjects(trusted.proxies),
        client_issuers=_subjects(trusted.clients),
        names=arguments.requestheader_allowed_names,
        user=_lower(arguments.requestheader_username_headers),
        uid=_lower(arguments.requestheader_uid_headers),
        group=_lower(arguments.requestheader_group_headers),
        extra=_lower(arguments.requestheader_extra_headers_prefix),
    )


def _subjects(authorities: bytes) -> frozenset[Any]:
    """The names of authorities, as the ssl module gives them for a certificate's issuer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(cadata=authorities.decode())
    return frozenset(each["subject"] for each in context.get_ca_certs())


def _lower(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def signing_keys(arguments: argparse.Namespace, own: bytes) -> list[bytes]:
    """The key that signs tokens; tokens of the server's own key are taken all the same. Raises `FlagError`."""
    path = arguments.service_account_signing_key_file
    try:
        return [own] if path is None else [_checked(path, token_keys.private), own]
    except (ValueError, OSError) as error:
        raise FlagError(str(error)) from error
