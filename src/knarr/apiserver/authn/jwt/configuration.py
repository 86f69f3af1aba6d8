"""Reads an AuthenticationConfiguration: issuers of tokens, and who may come without credentials.

Input: YAML. Output: issuers whose expressions compile. Raises `ValueError` that names the field.
Source: k8s.io/apiserver/pkg/apis/apiserver/validation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from knarr.apimachinery.types import Object
from knarr.apiserver import config_files
from knarr.apiserver.authn.authenticator import Anonymous
from knarr.apiserver.authn.jwt import claims
from knarr.apiserver.authn.jwt.spec import Issuer, Rule, Source
from knarr.apiserver.config_files import items, known

KIND = "AuthenticationConfiguration"
VERSIONS = ("v1", "v1beta1", "v1alpha1")
_MOST = 64
_TEXT, _TEXTS, _TRUTH = ("string", "dyn"), ("string", "list(string)", "list(dyn)", "dyn"), ("bool",)
_KEY = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[a-z0-9\-._~!$&'()*+,;=:@/%]+")
_RESERVED = ("k8s.io", "kubernetes.io")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What an AuthenticationConfiguration says; `anonymous` is None where it says nothing of it."""

    issuers: tuple[Issuer, ...] = ()
    anonymous: Anonymous | None = None


def load(path: Path, own_issuers: Collection[str]) -> Configuration:
    """What a file says. `own_issuers` are the cluster's own. Raises `ValueError`, `OSError`."""
    return parse(path.read_text(), own_issuers)


def parse(text: str, own_issuers: Collection[str]) -> Configuration:
    """What YAML says. Raises `ValueError`."""
    found = known(config_files.parse(text, KIND, VERSIONS), "", ("apiVersion", "kind", "jwt", "anonymous"))
    listed = items(found.get("jwt"), "jwt")
    if len(listed) > _MOST:
        raise ValueError(f"jwt: Too many: {len(listed)}: must have at most {_MOST} items")
    issuers = tuple(_issuer(item, f"jwt[{at}]", own_issuers) for at, item in enumerate(listed))
    _no_duplicates([issuer.url for issuer in issuers], "jwt", "issuer.url")
    _no_duplicates([issuer.discovery_url for issuer in issuers if issuer.discovery_url], "jwt", "issuer.discoveryURL")
    return Configuration(issuers, _anonymous(found.get("anonymous")))


def _anonymous(item: Any) -> Anonymous | None:
    if item is None:
        return None
    found = known(item, "anonymous", ("enabled", "conditions"))
    conditions = items(found.get("conditions"), "anonymous.conditions")
    paths = [str(known(each, "anonymous.conditions", ("path",)).get("path") or "") for each in conditions]
    if paths and not found.get("enabled"):
        raise ValueError("anonymous.conditions: enabled should be set to true when conditions are defined")
    if "" in paths:
        raise ValueError("anonymous.conditions: Required value: path")
    return Anonymous(bool(found.get("enabled")), frozenset(paths))


def _issuer(item: Any, path: str, own: Collection[str]) -> Issuer:
    parts = ("issuer", "claimValidationRules", "claimMappings", "userValidationRules")
    found = known(item, path, parts)
    names = ("url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy", "egressSelectorType")
    about = known(found.get("issuer"), f"{path}.issuer", names)
    mappings = known(found.get("claimMappings"), f"{path}.claimMappings", ("username", "groups", "uid", "extra"))
    base = f"{path}.claimMappings"
    issuer = Issuer(
        url=_url(about, f"{path}.issuer", own),
        audiences=_audiences(about, f"{path}.issuer"),
        username=_source(mappings.get("username"), f"{base}.username", _TEXT),
        groups=_source(mappings.get("groups"), f"{base}.groups", _TEXTS),
        uid=_source(mappings.get("uid"), f"{base}.uid", _TEXT, prefixed=False),
        extra=_extra(mappings.get("extra"), f"{base}.extra"),
        claim_rules=_rules(found.get("claimValidationRules"), f"{path}.claimValidationRules", "claims"),
        user_rules=_rules(found.get("userValidationRules"), f"{path}.userValidationRules", "user"),
        discovery_url=_discovery(about, f"{path}.issuer"),
        authority=_authority(about, f"{path}.issuer"),
    )
    if not issuer.username.given:
        raise ValueError(f"{base}.username: Required value: claim or expression is required")
    _check_email(issuer, base)
    return issuer


# the issuer


def _url(about: Object, path: str, own: Collection[str]) -> str:
    url = str(about.get("url") or "")
    _check_url(url, f"{path}.url")
    if url in own:
        raise ValueError(f'{path}.url: Invalid value: "{url}": URL must not overlap with disallowed issuers')
    return url


def _discovery(about: Object, path: str) -> str:
    url = str(about.get("discoveryURL") or "")
    if url:
        _check_url(url, f"{path}.discoveryURL")
        if url.rstrip("/") == str(about["url"]).rstrip("/"):
            raise ValueError(f'{path}.discoveryURL: Invalid value: "{url}": must be different from URL')
    return url


def _check_url(url: str, path: str) -> None:
    if not url:
        raise ValueError(f"{path}: Required value: URL is required")
    parts = urlsplit(url)
    wrong = ""
    if parts.scheme != "https" or not parts.hostname:
        wrong = "URL scheme must be https"
    elif parts.username or parts.password:
        wrong = "URL must not contain a username or password"
    elif parts.query or parts.fragment:
        wrong = "URL must not contain a query or a fragment"
    if wrong:
        raise ValueError(f'{path}: Invalid value: "{url}": {wrong}')


def _audiences(about: Object, path: str) -> tuple[str, ...]:
    found = tuple(str(item or "") for item in items(about.get("audiences"), f"{path}.audiences"))
    if not found or "" in found:
        raise ValueError(f"{path}.audiences: Required value: at least one audience that is not empty is required")
    _no_duplicates(found, f"{path}.audiences", "")
    policy = about.get("audienceMatchPolicy") or ""
    if policy not in ("", "MatchAny") or (len(found) > 1 and not policy):
        wanted = "audienceMatchPolicy must be MatchAny for multiple audiences"
        raise ValueError(f'{path}.audienceMatchPolicy: Invalid value: "{policy}": {wanted}')
    if about.get("egressSelectorType"):
        raise ValueError(f"{path}.egressSelectorType: no egress selection is configured")
    return found


def _authority(about: Object, path: str) -> str:
    found = str(about.get("certificateAuthority") or "")
    if found:
        import ssl

        try:
            ssl.create_default_context(cadata=found)
        except ssl.SSLError as error:
            wrong = "data does not contain any valid RSA or ECDSA certificates"
            raise ValueError(f"{path}.certificateAuthority: Invalid value: {wrong}") from error
    return found


# mappings and rules


def _source(item: Any, path: str, types: Sequence[str], *, prefixed: bool = True) -> Source:
    found = known(item, path, ("claim", "prefix", "expression") if prefixed else ("claim", "expression"))
    claim, prefix, expression = (found.get(key) for key in ("claim", "prefix", "expression"))
    if claim and expression:
        raise ValueError(f"{path}: Invalid value: claim and expression can't both be set")
    if prefix is not None and not claim:
        raise ValueError(f"{path}.prefix: Invalid value: prefix can only be set when claim is set")
    if claim and prefixed and prefix is None:
        raise ValueError(f"{path}.prefix: Required value: prefix is required when claim is set. It can be set to empty")
    if expression:
        _compile(str(expression), f"{path}.expression", "claims", types)
    return Source(str(claim or ""), str(prefix or ""), str(expression or ""))


def _extra(item: Any, path: str) -> tuple[tuple[str, str], ...]:
    found = []
    for at, each in enumerate(items(item, path)):
        here = f"{path}[{at}]"
        part = known(each, here, ("key", "valueExpression"))
        key, expression = str(part.get("key") or ""), str(part.get("valueExpression") or "")
        domain = key.split("/", 1)[0]
        if not _KEY.fullmatch(key):
            raise ValueError(f'{here}.key: Invalid value: "{key}": must be a domain-prefixed path in lower case')
        if any(domain == reserved or domain.endswith(f".{reserved}") for reserved in _RESERVED):
            raise ValueError(f'{here}.key: Invalid value: "{key}": k8s.io, kubernetes.io domains are reserved')
        _compile(expression, f"{here}.valueExpression", "claims", _TEXTS)
        found.append((key, expression))
    _no_duplicates([key for key, _ in found], path, "key")
    return tuple(found)


def _rules(item: Any, path: str, variable: str) -> tuple[Rule, ...]:
    fields = ("claim", "requiredValue", "expression", "message") if variable == "claims" else ("expression", "message")
    found = []
    for at, each in enumerate(items(item, path)):
        here = f"{path}[{at}]"
        part = known(each, here, fields)
        rule = Rule(*(str(part.get(key) or "") for key in ("expression", "message", "claim", "requiredValue")))
        if rule.claim and (rule.expression or rule.message):
            raise ValueError(f"{here}: Invalid value: claim can't be set together with expression or message")
        if rule.value and not rule.claim:
            raise ValueError(f"{here}.requiredValue: Invalid value: can't be set when claim is not")
        if not rule.claim:
            _compile(rule.expression, f"{here}.expression", variable, _TRUTH)
        found.append(rule)
    for what in ("claim", "expression"):
        _no_duplicates([text for rule in found if (text := getattr(rule, what))], path, what)
    return tuple(found)


def _compile(expression: str, path: str, variable: str, types: Sequence[str]) -> None:
    from knarr.api.cel import compile_expression

    if not expression:
        raise ValueError(f"{path}: Required value: expression is required")
    found = compile_expression(expression, claims.environment(variable))
    if found.problem:
        raise ValueError(f'{path}: Invalid value: "{expression}": {found.problem}')
    if found.type not in types:
        wrong = f"must evaluate to {' or '.join(kind for kind in types if kind != 'dyn')}, not {found.type}"
        raise ValueError(f'{path}: Invalid value: "{expression}": {wrong}')


def _check_email(issuer: Issuer, path: str) -> None:
    """An address that nobody has verified is no name."""
    if not re.search(r"claims\.email\b(?!_)", issuer.username.expression):
        return
    others = [expression for _, expression in issuer.extra] + [rule.expression for rule in issuer.claim_rules]
    if not any("claims.email_verified" in text for text in (issuer.username.expression, *others)):
        where = "claimMappings.username.expression, claimMappings.extra[*].valueExpression or claimValidationRules"
        raise ValueError(
            f"{path}.username.expression: Invalid value: claims.email_verified must be used in {where}[*].expression "
            "when claims.email is used in claimMappings.username.expression"
        )


def _no_duplicates(values: Sequence[str], path: str, name: str) -> None:
    for at, value in enumerate(values):
        if value in values[:at]:
            raise ValueError(f'{path}[{at}]{"." + name if name else ""}: Duplicate value: "{value}"')
