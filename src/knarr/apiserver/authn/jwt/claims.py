"""Who a token stands for: its claims, by an issuer's mappings and rules.

Input: claims whose signature, times and audience are verified. Output: a user, or `TokenError`. No state, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from knarr.apimachinery.types import Object
from knarr.apiserver.authn.jwt.spec import Issuer, Rule, Source
from knarr.apiserver.authn.tokens import TokenError
from knarr.apiserver.request import UserInfo


def user_of(issuer: Issuer, claims: Object) -> UserInfo:
    """The user. Raises `TokenError`."""
    name = _username(issuer.username, claims)
    groups = _texts(issuer.groups, claims, "groups") if issuer.groups.given else ()
    uid = _uid(issuer.uid, claims) if issuer.uid.given else ""
    extra = {}
    for key, expression in issuer.extra:
        values = _listed(_evaluate(expression, "claims", claims), f"extra {key}")
        if values:
            extra[key] = values
    for rule in issuer.claim_rules:
        _hold(rule, claims)
    user = UserInfo(name, groups, uid, extra)
    for rule in issuer.user_rules:
        _require(rule, "user", _shown(user))
    return user


@cache
def environment(variable: str) -> Any:
    """What expressions about claims, or about a user, may refer to."""
    from knarr.api.cel import Environment

    return Environment(((variable, "map(string, dyn)" if variable == "claims" else "kubernetes.UserInfo"),))


def _username(source: Source, claims: Object) -> str:
    if source.expression:
        found = _evaluate(source.expression, "claims", claims)
        if not isinstance(found, str) or not found:
            raise TokenError("oidc: username expression did not evaluate to a string that is not empty")
        return found
    found = claims.get(source.claim)
    if found is None:
        raise TokenError(f"oidc: parse username claims {_quoted(source.claim)}: claim not present")
    if not isinstance(found, str):
        raise TokenError(f"oidc: parse username claims {_quoted(source.claim)}: it is no string")
    if source.claim == "email" and "email_verified" in claims and claims["email_verified"] is not True:
        raise TokenError("oidc: email not verified")
    if not source.prefix + found:
        raise TokenError("oidc: the username is empty")
    return source.prefix + found


def _uid(source: Source, claims: Object) -> str:
    found = _evaluate(source.expression, "claims", claims) if source.expression else claims.get(source.claim)
    if not isinstance(found, str):
        raise TokenError("oidc: error evaluating uid claim expression: it is no string")
    return found


def _texts(source: Source, claims: Object, what: str) -> tuple[str, ...]:
    if source.expression:
        return _listed(_evaluate(source.expression, "claims", claims), what)
    return tuple(source.prefix + text for text in _listed(claims.get(source.claim), what))


def _listed(found: Any, what: str) -> tuple[str, ...]:
    """A string or a list of strings; none for null, and for the empty string."""
    if found is None or found == "":
        return ()
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TokenError(f"oidc: {what}: expected a string or a list of strings")
    return tuple(values)


def _hold(rule: Rule, claims: Object) -> None:
    if rule.expression:
        _require(rule, "claims", claims)
        return
    if rule.claim not in claims:
        raise TokenError(f"oidc: required claim {rule.claim} not present in ID token")
    if claims[rule.claim] != rule.value:
        raise TokenError(
            f"oidc: required claim {rule.claim} value does not match. Got = {claims[rule.claim]}, want = {rule.value}"
        )


def _require(rule: Rule, variable: str, value: Mapping[str, Any]) -> None:
    if _evaluate(rule.expression, variable, value) is not True:
        said = rule.message or f"validation expression '{rule.expression}' failed"
        raise TokenError(f"oidc: error evaluating {variable.rstrip('s')} validation expression: {said}")


def _evaluate(expression: str, variable: str, value: Mapping[str, Any]) -> Any:
    from knarr.api.cel import Budget, BudgetExceeded, EvaluationError, program

    try:
        return program(expression, environment(variable)).evaluate({variable: value}, Budget())
    except (EvaluationError, BudgetExceeded) as error:
        raise TokenError(f"oidc: error evaluating expression '{expression}': {error.message}") from error


def _shown(user: UserInfo) -> Object:
    extra = {key: list(values) for key, values in user.extra.items()}
    return {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}


def _quoted(text: str) -> str:
    return f'"{text}"'
